//! The plane that does nothing: health is judged and told, traffic goes its own way.

use crate::{Applied, Plane, Sessions};
use evenkeel_core::config::ServerId;
use evenkeel_core::table::Table;
use std::sync::Arc;

/// See the module's text.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nothing;

impl Plane for Nothing {
    fn apply(&mut self, _table: &Arc<Table>) -> Applied {
        Applied::default()
    }

    fn sessions(&mut self, _server: ServerId) -> Sessions {
        Sessions::default()
    }
}

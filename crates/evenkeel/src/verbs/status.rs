//! `evenkeel status`: shows services, pools and servers of a running daemon.

use crate::api::client::{self, Door};
use crate::api::model::{Name, Pool, Server, Service, Status};
use crate::screen::{self, Columns, Tone};
use std::process::ExitCode;

/// Shows services, pools and servers of a running daemon.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this pool
    pool: Option<String>,
    /// As the API says it
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    door: Door,
}

/// Does it.
pub fn main(args: Args) -> ExitCode {
    let path = match &args.pool {
        Some(pool) => format!("/v1/pools/{}", client::segment(pool)),
        None => "/v1/status".to_owned(),
    };
    let text = if args.json {
        args.door.text(&path).map(|text| String::from_utf8_lossy(&text).into_owned())
    } else if args.pool.is_some() {
        args.door.get(&path).map(|pool| draw_pool(&pool, screen::coloured()))
    } else {
        args.door.get(&path).map(|status| draw(&status, screen::coloured()))
    };
    super::print(text)
}

fn draw(status: &Status, coloured: bool) -> String {
    let Status { version, pid, uptime_s, file, .. } = status;
    let mut out = format!("evenkeel {version}, up {}, pid {pid}, {file}\n", screen::age(*uptime_s));
    if !status.services.is_empty() {
        out.push('\n');
        out.push_str(&draw_services(&status.services, coloured));
    }
    for pool in &status.pools {
        out.push('\n');
        out.push_str(&draw_pool(pool, coloured));
    }
    if !status.names.is_empty() {
        out.push('\n');
        out.push_str(&draw_names(&status.names, coloured));
    }
    out
}

fn draw_names(names: &[Name], coloured: bool) -> String {
    let mut columns = Columns::default();
    for name in names {
        let age =
            name.answered_ago_s.map_or("never answered".into(), |ago| format!("{} ago", screen::age(ago)));
        let (said, tone) = match &name.trouble {
            Some(trouble) => (trouble.clone(), Tone::Bad),
            None if name.confirmed => (String::new(), Tone::Dim),
            None => ("to be confirmed".into(), Tone::Dim),
        };
        columns.row([
            (format!("dns {}", name.name), Tone::Bold),
            (name.addresses.join(", "), Tone::Plain),
            (age, Tone::Dim),
            (said, tone),
        ]);
    }
    columns.draw("", coloured)
}

fn draw_services(services: &[Service], coloured: bool) -> String {
    let mut columns = Columns::default();
    for service in services {
        let route = |route: &crate::api::model::Route| match &*route.prefix {
            "" => format!("pool {}", route.pool),
            prefix => format!("{prefix} pool {}", route.pool),
        };
        let routes: Vec<String> = service.routes.iter().map(route).collect();
        columns.row([
            (format!("service {}", service.name), Tone::Bold),
            (service.listen.join(", "), Tone::Plain),
            (format!("plane {}", service.plane), Tone::Dim),
            (routes.join(", "), Tone::Plain),
        ]);
    }
    columns.draw("", coloured)
}

fn draw_pool(pool: &Pool, coloured: bool) -> String {
    let serving = if pool.serving.is_empty() { "nobody".into() } else { pool.serving.join(", ") };
    let checks = if pool.checks.is_empty() { "none".into() } else { pool.checks.join(", ") };
    let name = screen::paint(&format!("pool {}", pool.name), Tone::Bold, coloured);
    let mut columns = Columns::default();
    let heads = ["server", "address", "health", "since", "now", "weight", "active", "total", "why"];
    columns.row(heads.map(|head| (head.to_owned(), Tone::Dim)));
    for server in &pool.servers {
        columns.row(row(server));
    }
    format!("{name}  serving: {serving}  checks: {checks}\n{}", columns.draw("  ", coloured))
}

fn row(server: &Server) -> [(String, Tone); 9] {
    let health = if server.avoid { format!("{} avoid", server.health) } else { server.health.clone() };
    let mut weight = server.weight.to_string();
    if server.duty == "serving" && server.share_percent < 99.5 {
        weight.push_str(&format!(" ({:.0}%)", server.share_percent));
    }
    let address = match &server.resolved {
        Some(resolved) => format!("{} = {resolved}", server.address),
        None => server.address.clone(),
    };
    [
        (
            if server.backup { format!("{} (backup)", server.name) } else { server.name.to_string() },
            Tone::Plain,
        ),
        (address, Tone::Plain),
        (health, screen::tone(&server.health)),
        (server.since_s.map(screen::age).unwrap_or_default(), Tone::Plain),
        (server.duty.clone(), screen::tone(&server.duty)),
        (weight, Tone::Plain),
        (server.active.to_string(), Tone::Plain),
        (server.total.to_string(), Tone::Plain),
        (server.reason.clone(), Tone::Dim),
    ]
}

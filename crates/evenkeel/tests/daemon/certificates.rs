//! What `why` says of a server whose certificate is not good.

use super::authority::Authority;
use super::world::{Daemon, free_address};

#[test]
fn why_names_what_is_wrong_with_a_certificate() {
    let authority = Authority::new("why-tls");
    let good = authority.server("web.test", 2100);
    let another = authority.server("shop.test", 2100);
    let expired = authority.server("web.test", 2022);
    let daemon = Daemon::start(&format!(
        "service web {{\n    listen {} http\n    pool web\n}}\npool web {{\n    server good {}\n    \
         server another {}\n    server expired {}\n    \
         check http / every 11s timeout 10s fast 100ms {{\n        \
         tls name web.test ca {}\n        \
         down after 1 fail\n    }}\n}}\n",
        free_address(),
        good.at,
        another.at,
        expired.at,
        authority.ca.display()
    ));
    daemon.until_server("web", "good", "up", "serving");
    for (name, parts) in [
        ("another", ["L6 certificate is not for web.test but for shop.test (soft)", "phases "]),
        ("expired", ["L6 certificate expired ", " ago (soft)"]),
    ] {
        daemon.until_server("web", name, "down", "out");
        let said = daemon.says(&["why", name]);
        for part in parts.into_iter().chain(["connect ", "history     w", "check http"]) {
            assert!(said.contains(part), "{part:?} is not in\n{said}");
        }
    }
}

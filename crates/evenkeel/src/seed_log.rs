//! The log file of the shell script that seed 1 published, line for line, for whoever already reads one:
//! `2024-01-01 12:00:00, 192.168.1.102 is gone.` Local time, addresses without ports, no reasons.

use crate::clock;
use crate::lines::Lines;
use evenkeel_core::Health;
use evenkeel_core::config::{Address, Config};
use evenkeel_core::event::Event;
use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::time::SystemTime;

/// The file, open for appending.
#[derive(Debug)]
pub struct SeedLog {
    lines: Lines,
}

impl SeedLog {
    /// Opens it, and makes it if it is not there.
    pub fn open(path: &Path) -> io::Result<SeedLog> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(SeedLog { lines: Lines::start(Box::new(file))? })
    }

    /// Writes the event's line, if that script would have written one. One write a line, so that lines of two
    /// writers do not mix.
    pub fn tell(&self, config: &Config, event: &Event) {
        if let Some(line) = line(config, event) {
            self.lines.put(format!("{}, {line}\n", clock::local(SystemTime::now())).into_bytes());
        }
    }

    /// Waits until all is written, but not for long.
    pub fn flush(&self) {
        self.lines.flush();
    }
}

fn line(config: &Config, event: &Event) -> Option<String> {
    match event {
        Event::Health { who, from, to, .. } => {
            let server = config.pool(who.pool)?.servers.iter().find(|server| server.id == who.server)?;
            let host = match &server.address {
                Address::Ip(address) => address.ip().to_string(),
                Address::Unix(path) => path.display().to_string(),
                Address::Name(name, _) => name.to_string(),
            };
            match (from, to) {
                // The script began with every server in its table.
                (Health::Unknown, Health::Up) => None,
                _ if server.backup => None,
                (_, Health::Up) => Some(format!("{host} is back.")),
                (_, Health::Down) => Some(format!("{host} is gone.")),
                (_, Health::Unknown) => None,
            }
        }
        Event::BackupStarted { .. } => Some("FAIL_BACK is start.".into()),
        Event::BackupStopped { .. } => Some("FAIL_BACK is stop.".into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_core::Span;
    use evenkeel_core::config::{Balance, Pool, PoolId, Require, Server, ServerId};
    use evenkeel_core::event::Who;
    use evenkeel_core::why::Because;
    use std::sync::Arc;

    fn config() -> Config {
        let server = |id: u32, name: &str, address: &str, backup| Server {
            id: ServerId(id),
            name: name.into(),
            address: Address::Ip(address.parse().unwrap()),
            weight: 1,
            backup,
        };
        let pool = Pool {
            id: PoolId(1),
            name: "web".into(),
            servers: vec![
                server(1, "rs1", "192.168.1.102:80", false),
                server(2, "sorry", "127.0.0.1:80", true),
            ],
            checks: Vec::new(),
            require: Require::All,
            balance: Balance::Weighted,
            min_serving: 0,
            slow_start: Span::ZERO,
        };
        Config { services: Vec::new(), pools: vec![Arc::new(pool)] }
    }

    fn turned(server: u32, from: Health, to: Health) -> Event {
        let who = Who {
            pool: PoolId(1),
            pool_name: "web".into(),
            server: ServerId(server),
            server_name: "".into(),
        };
        Event::Health { who, from, to, cause: None, because: Because::Up, now_serving: Vec::new() }
    }

    #[test]
    fn writes_the_scripts_own_lines() {
        let said = |event| line(&config(), &event);
        assert_eq!(said(turned(1, Health::Up, Health::Down)).unwrap(), "192.168.1.102 is gone.");
        assert_eq!(said(turned(1, Health::Down, Health::Up)).unwrap(), "192.168.1.102 is back.");
        assert_eq!(said(turned(1, Health::Unknown, Health::Up)), None);
        assert_eq!(said(turned(2, Health::Up, Health::Down)), None);
        let (pool, pool_name) = (PoolId(1), "web".into());
        assert_eq!(
            said(Event::BackupStarted { pool, pool_name, now_serving: Vec::new() }).unwrap(),
            "FAIL_BACK is start."
        );
    }

    #[test]
    fn appends_whole_lines_with_the_local_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ipvsmonitor.log");
        for _ in 0..2 {
            let log = SeedLog::open(&path).unwrap();
            log.tell(&config(), &turned(1, Health::Up, Health::Down));
            log.flush();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        let (time, rest) = lines[0].split_at("2024-01-01 12:00:00".len());
        assert!(time.chars().all(|c| c.is_ascii_digit() || "- :".contains(c)), "{time}");
        assert_eq!(rest, ", 192.168.1.102 is gone.");
    }
}

//! Whether a request that failed at one server is tried at another: what may be repeated without harm, how
//! often, and how many such tries a pool can bear.

use super::http1::request::Request;
use evenkeel_core::config::{Retry, ServerId};
use std::cell::Cell;

/// Why an attempt brought no answer that the client could get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// No connection: nothing was sent.
    Connect,
    /// A kept connection was closed with no byte answered. The server may have closed it before it read.
    Stale,
    /// Closed or reset by the server, or cut because the server is down.
    Reset,
    /// No answer in time.
    Timeout,
    /// An answer with a status that the config wants tried elsewhere.
    Status(u16),
    /// No HTTP, or readable in two ways.
    Invalid,
}

/// What was tried for one request.
#[derive(Debug, Default)]
pub(super) struct Tries {
    /// Servers that are not asked again.
    pub(super) servers: Vec<ServerId>,
    /// Tries of a request that had been sent.
    repeats: u8,
    /// Servers that reset on it. After two it may be the request that kills.
    resets: u8,
    stale: bool,
    /// Something was sent to somebody.
    pub(super) sent: bool,
    /// Somebody is alive: answered, or took the request and is slow. Then the backup is not for us to choose.
    pub(super) alive: bool,
}

/// What happens after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The same server, on a fresh connection.
    Replay,
    /// Another server.
    Another,
    /// The client is told.
    GiveUp,
}

impl Tries {
    /// Decides, without looking at the budget. `replayable`: all of what was sent is still at hand.
    pub(super) fn next(
        &mut self,
        retry: &Retry,
        request: &Request,
        failure: Failure,
        server: ServerId,
        replayable: bool,
    ) -> Next {
        if failure == Failure::Connect {
            self.servers.push(server);
            return Next::Another;
        }
        self.sent = true;
        self.alive |= !matches!(failure, Failure::Stale | Failure::Reset);
        let harmless = replayable && request.is_repeatable();
        if failure == Failure::Stale && !self.stale {
            self.stale = true;
            return if harmless { Next::Replay } else { Next::GiveUp };
        }
        self.servers.push(server);
        let reset = matches!(failure, Failure::Stale | Failure::Reset);
        self.resets += u8::from(reset);
        let listed = match failure {
            Failure::Stale | Failure::Reset => retry.reset,
            Failure::Timeout => retry.timeout,
            Failure::Status(status) => retry.statuses.contains(&status),
            Failure::Connect | Failure::Invalid => false,
        };
        if !listed || !harmless || self.resets >= 2 || self.repeats >= retry.times {
            return Next::GiveUp;
        }
        self.repeats += 1;
        Next::Another
    }
}

/// Tries that one worker's share of a pool may repeat: a share of its requests and a few a second. When all
/// servers fail it keeps retries from multiplying the load (SRE book, "Handling Overload").
#[derive(Debug)]
pub(super) struct Budget {
    /// Thousandths of a try.
    left: Cell<u64>,
    /// Milliseconds on the worker's clock.
    since: Cell<u64>,
}

impl Budget {
    /// What is saved up at most beside ten seconds of the floor, in tries.
    const SAVED_MAX: u64 = 100;
    /// What a pool begins with, in thousandths.
    const FIRST: u64 = 3000;

    pub(super) fn new(now: u64) -> Budget {
        Budget { left: Cell::new(Budget::FIRST), since: Cell::new(now) }
    }

    /// A request came.
    pub(super) fn earn(&self, retry: &Retry) {
        self.left.set(self.left.get() + u64::from(retry.budget_percent) * 10);
    }

    /// Takes one try out, if there is one. The floor is shared out among `workers`.
    pub(super) fn spend(&self, now: u64, retry: &Retry, workers: u64) -> bool {
        let floor = u64::from(retry.budget_floor);
        let gained = now.saturating_sub(self.since.replace(now)) * floor / workers.max(1);
        let most = (Budget::SAVED_MAX + floor * 10) * 1000;
        let left = (self.left.get() + gained).min(most);
        self.left.set(left.checked_sub(1000).unwrap_or(left));
        left >= 1000
    }
}

#[cfg(test)]
mod tests {
    use super::super::http1::request::Method;
    use super::super::http1::{Framing, Version};
    use super::*;

    fn request(method: Method) -> Request {
        Request {
            len: 0,
            method,
            version: Version::Http11,
            body: Framing::None,
            keep_alive: true,
            expect: false,
            upgrade: false,
            idempotency_key: false,
            target: 0..0,
        }
    }

    fn everything() -> Retry {
        Retry { times: 5, reset: true, timeout: true, statuses: vec![502], ..Retry::default() }
    }

    #[test]
    fn what_was_not_sent_goes_on_whatever_it_is() {
        let mut tries = Tries::default();
        for server in 0..20 {
            let next = tries.next(
                &Retry { times: 0, ..Retry::default() },
                &request(Method::Other),
                Failure::Connect,
                ServerId(server),
                true,
            );
            assert_eq!(next, Next::Another);
        }
        assert!(!tries.sent);
    }

    #[test]
    fn the_backup_is_not_for_requests_that_somebody_alive_has_seen() {
        let get = request(Method::Get);
        let cases = [
            (Failure::Connect, false),
            (Failure::Stale, false),
            (Failure::Reset, false),
            (Failure::Timeout, true),
            (Failure::Status(502), true),
        ];
        for (failure, alive) in cases {
            let mut tries = Tries::default();
            tries.next(&everything(), &get, failure, ServerId(1), true);
            assert_eq!(tries.alive, alive, "{failure:?}");
        }
    }

    #[test]
    fn what_may_do_something_twice_is_not_repeated() {
        for failure in [Failure::Stale, Failure::Reset, Failure::Timeout, Failure::Status(502)] {
            let post = request(Method::Other);
            let mut tries = Tries::default();
            assert_eq!(tries.next(&everything(), &post, failure, ServerId(1), true), Next::GiveUp);
            let keyed = Request { idempotency_key: true, ..post };
            let mut tries = Tries::default();
            assert_ne!(tries.next(&everything(), &keyed, failure, ServerId(1), true), Next::GiveUp);
        }
    }

    #[test]
    fn nothing_is_repeated_without_its_whole_body() {
        let mut tries = Tries::default();
        let put = request(Method::Idempotent);
        assert_eq!(tries.next(&everything(), &put, Failure::Reset, ServerId(1), false), Next::GiveUp);
    }

    #[test]
    fn a_request_that_reset_two_servers_gets_no_third() {
        let mut tries = Tries::default();
        let get = request(Method::Get);
        assert_eq!(tries.next(&everything(), &get, Failure::Stale, ServerId(1), true), Next::Replay);
        assert_eq!(tries.next(&everything(), &get, Failure::Reset, ServerId(1), true), Next::Another);
        assert_eq!(tries.next(&everything(), &get, Failure::Reset, ServerId(2), true), Next::GiveUp);
    }

    #[test]
    fn only_what_is_listed_is_tried_elsewhere() {
        let get = request(Method::Get);
        for failure in [Failure::Reset, Failure::Timeout, Failure::Status(502), Failure::Invalid] {
            let mut tries = Tries::default();
            assert_eq!(tries.next(&Retry::default(), &get, failure, ServerId(1), true), Next::GiveUp);
        }
        let mut tries = Tries::default();
        assert_eq!(tries.next(&everything(), &get, Failure::Status(500), ServerId(1), true), Next::GiveUp);
    }

    #[test]
    fn the_budget_is_a_share_of_the_requests_and_a_few_a_second() {
        let retry = Retry::default();
        let budget = Budget::new(0);
        let spent = |now| (0..1000).filter(|_| budget.spend(now, &retry, 1)).count();
        assert_eq!(spent(0), 3);
        (0..100).for_each(|_| budget.earn(&retry));
        assert_eq!(spent(0), 20);
        assert_eq!(spent(2_000), 6);
    }
}

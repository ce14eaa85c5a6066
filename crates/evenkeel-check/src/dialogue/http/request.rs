//! Writes HTTP/1 requests. It knows nothing of answers.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::net::SocketAddr;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Exactly these bytes, as F5's send string.
    Raw(Vec<u8>),
    /// Written by us.
    Made(Made),
}

/// A request that is written by us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Any token; case matters.
    pub method: String,
    /// What stands in the request line: `/…`, or `*`.
    pub target: String,
    /// HTTP/1.0 instead of HTTP/1.1. (There is no way to speak HTTP/0.9.)
    pub version_1_0: bool,
    /// What `Host` says; `None`: the address asked.
    pub host: Option<String>,
    /// The port that a `Host` need not name: 80, or 443 with TLS.
    pub default_port: u16,
    /// Further fields. They replace the ones that would be sent by default.
    pub fields: Vec<(String, Vec<u8>)>,
    /// The content, empty for none.
    pub body: Vec<u8>,
    /// The connection is kept after the answer.
    pub keep: bool,
}

impl Default for Made {
    fn default() -> Made {
        Made {
            method: "GET".into(),
            target: "/".into(),
            version_1_0: false,
            host: None,
            default_port: 80,
            fields: Vec::new(),
            body: Vec::new(),
            keep: false,
        }
    }
}

impl Request {
    /// The method, as far as the answer's framing depends on it.
    pub(super) fn method(&self) -> &str {
        match self {
            Request::Made(made) => &made.method,
            Request::Raw(bytes) if bytes.starts_with(b"HEAD ") => "HEAD",
            Request::Raw(_) => "GET",
        }
    }

    /// The bytes of the request.
    pub(super) fn write(&self, peer: Option<SocketAddr>) -> Cow<'_, [u8]> {
        match self {
            Request::Raw(bytes) => Cow::Borrowed(bytes),
            Request::Made(made) => Cow::Owned(made.write(peer)),
        }
    }
}

impl Made {
    /// The bytes of the request.
    pub(super) fn write(&self, peer: Option<SocketAddr>) -> Vec<u8> {
        let version = if self.version_1_0 { "1.0" } else { "1.1" };
        let mut head = String::with_capacity(160);
        let _ = write!(head, "{} {} HTTP/{version}\r\n", self.method, self.target);
        if !self.has("host") {
            let _ = match (&self.host, peer) {
                (Some(host), _) => write!(head, "Host: {host}\r\n"),
                (None, Some(peer)) if peer.port() == self.default_port && peer.is_ipv6() => {
                    write!(head, "Host: [{}]\r\n", peer.ip())
                }
                (None, Some(peer)) if peer.port() == self.default_port => {
                    write!(head, "Host: {}\r\n", peer.ip())
                }
                (None, Some(peer)) => write!(head, "Host: {peer}\r\n"),
                (None, None) => write!(head, "Host: localhost\r\n"),
            };
        }
        if !self.has("user-agent") {
            head.push_str("User-Agent: evenkeel\r\n");
        }
        if !self.has("connection") && self.keep == self.version_1_0 {
            head.push_str(if self.keep { "Connection: keep-alive\r\n" } else { "Connection: close\r\n" });
        }
        let has_content = !self.body.is_empty() || matches!(&*self.method, "POST" | "PUT" | "PATCH");
        if has_content && !self.has("content-length") {
            let _ = write!(head, "Content-Length: {}\r\n", self.body.len());
        }
        let mut bytes = head.into_bytes();
        for (name, value) in &self.fields {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// The request that follows a redirect (RFC 9110, section 15.4): 303 turns all but HEAD into GET, 301 and
    /// 302 turn POST into GET, as every browser does.
    pub(super) fn redirected(&self, status: u16, target: String) -> Made {
        let to_get = match status {
            303 => self.method != "HEAD",
            301 | 302 => self.method == "POST",
            _ => false,
        };
        let mut next = Made { target, ..self.clone() };
        if to_get {
            next.method = "GET".into();
            next.body = Vec::new();
            next.fields.retain(|(name, _)| !name.to_ascii_lowercase().starts_with("content-"));
        }
        next
    }

    /// The request target of a `Location` that stays on this server; `None` for one that leads elsewhere.
    pub(super) fn target_of(&self, location: &[u8], peer: Option<SocketAddr>) -> Option<String> {
        let location = std::str::from_utf8(location).ok()?;
        let location = location.split('#').next().unwrap_or("");
        if location.is_empty() || location.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
            return None;
        }
        let scheme = if self.default_port == 443 { "https:" } else { "http:" };
        let rest = match location.split_once("//") {
            Some(("", rest)) => rest,
            Some((other, rest)) if other.eq_ignore_ascii_case(scheme) => rest,
            _ if location.starts_with('/') => return Some(location.into()),
            // A path relative to the one asked for, or a scheme without an authority, which leads elsewhere.
            _ if location.split(['/', '?']).next().is_some_and(|first| first.contains(':')) => return None,
            _ if location.starts_with('?') => {
                return Some(format!("{}{location}", self.target.split('?').next().unwrap_or("/")));
            }
            _ => {
                let path = self.target.split('?').next().unwrap_or("/");
                let folder = path.rfind('/').map_or("/", |at| &path[..=at]);
                return Some(format!("{folder}{location}"));
            }
        };
        let at = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(at);
        let slash = if path.starts_with('/') { "" } else { "/" };
        self.is_here(authority, peer).then(|| format!("{slash}{path}"))
    }

    /// Whether an authority means the server asked: the same host as in `Host`, and the same port.
    fn is_here(&self, authority: &str, peer: Option<SocketAddr>) -> bool {
        let default = format!(":{}", self.default_port);
        let plain =
            |authority: &str| authority.strip_suffix(&default).unwrap_or(authority).to_ascii_lowercase();
        let field = self.fields.iter().find(|(name, _)| name.eq_ignore_ascii_case("host"));
        let ours = match (field, &self.host, peer) {
            (Some((_, value)), ..) => String::from_utf8_lossy(value).into_owned(),
            (None, Some(host), _) => host.clone(),
            (None, None, Some(peer)) => peer.to_string(),
            (None, None, None) => "localhost".into(),
        };
        plain(authority) == plain(&ours)
    }

    fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(other, _)| other.eq_ignore_ascii_case(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(made: &Made, peer: &str) -> String {
        String::from_utf8(made.write(peer.parse().ok())).unwrap()
    }

    #[test]
    fn names_the_address_asked_unless_told_otherwise() {
        let made = Made::default();
        let end = "User-Agent: evenkeel\r\nConnection: close\r\n\r\n";
        assert_eq!(text(&made, "10.0.0.1:80"), format!("GET / HTTP/1.1\r\nHost: 10.0.0.1\r\n{end}"));
        assert_eq!(text(&made, "[::1]:80"), format!("GET / HTTP/1.1\r\nHost: [::1]\r\n{end}"));
        assert_eq!(text(&made, "[::1]:81"), format!("GET / HTTP/1.1\r\nHost: [::1]:81\r\n{end}"));
        assert_eq!(text(&made, ""), format!("GET / HTTP/1.1\r\nHost: localhost\r\n{end}"));
    }

    #[test]
    fn a_field_of_the_users_replaces_ours() {
        let made = Made {
            method: "POST".into(),
            version_1_0: true,
            fields: vec![("host".into(), b"a".to_vec()), ("USER-AGENT".into(), b"b".to_vec())],
            body: b"x=1".to_vec(),
            ..Made::default()
        };
        let wanted = "POST / HTTP/1.0\r\nContent-Length: 3\r\nhost: a\r\nUSER-AGENT: b\r\n\r\nx=1";
        assert_eq!(text(&made, "10.0.0.1:80"), wanted);
    }

    #[test]
    fn follows_only_to_the_same_server() {
        let made = Made { target: "/a/b?q".into(), host: Some("shop".into()), ..Made::default() };
        let to = |location: &str| made.target_of(location.as_bytes(), "10.0.0.1:80".parse().ok());
        assert_eq!(to("/c"), Some("/c".into()));
        assert_eq!(to("c?d#e"), Some("/a/c?d".into()));
        assert_eq!(to("?d"), Some("/a/b?d".into()));
        assert_eq!(to("http://SHOP:80/c"), Some("/c".into()));
        assert_eq!(to("//shop"), Some("/".into()));
        assert_eq!(to("http://shop?x"), Some("/?x".into()));
        for elsewhere in
            ["https://shop/", "http://shop:81/", "//else/", "mailto:me", "/a b", "/a\r\nX: y", ""]
        {
            assert_eq!(to(elsewhere), None, "{elsewhere}");
        }
    }
}

//! Forms of text that Kubernetes knows by name, judged as the API server judges them.
//!
//! It is written in Go, and Go's idea of a URL or a date is not that of the libraries at hand: what they accept beyond
//! it would pass here and be refused by a cluster.

use rempart_core::instant::CalendarDay;

/// A day of the calendar, written year-month-day.
pub(super) fn is_date(text: &str) -> bool {
    CalendarDay::parse(text).is_ok()
}

/// Whether `text` begins and ends with an ASCII letter or digit and has nothing but those and `others` between.
fn is_word(text: &str, others: &[u8]) -> bool {
    let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(|b| b.is_ascii_alphanumeric() || others.contains(b))
}

/// The value of a label.
pub(super) fn is_label_value(text: &str) -> bool {
    text.is_empty() || (text.len() <= 63 && is_word(text, b"-_."))
}

/// The key of a label or an annotation: a name, with or without a domain and a slash before it.
pub(super) fn is_label_key(text: &str) -> bool {
    let (domain, name) = text.split_once('/').map_or((None, text), |(domain, name)| (Some(domain), name));
    domain.is_none_or(is_subdomain) && name.len() <= 63 && is_word(name, b"-_.")
}

/// The name of an object: a subdomain of RFC 1123.
pub(super) fn is_subdomain(text: &str) -> bool {
    text.len() <= 253
        && !text.bytes().any(|b| b.is_ascii_uppercase())
        && text.split('.').all(|label| is_word(label, b"-"))
}

/// What Go's `url.ParseRequestURI` takes: an address with a scheme, or an absolute path.
pub(super) fn is_url(text: &str) -> bool {
    if text.bytes().any(|b| b.is_ascii_control()) {
        return false;
    }
    let Some((scheme, rest)) = without_scheme(text) else { return false };
    let rest = rest.split_once('?').map_or(rest, |(before, _)| before);
    if !rest.starts_with('/') {
        return scheme || text == "*";
    }
    let (authority, path) = match rest.strip_prefix("//") {
        Some(rest) if scheme => rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash)),
        _ => ("", rest),
    };
    is_authority(authority) && is_escaped(path)
}

/// Whether there is a scheme, and what follows it; `None` when the text begins with a colon.
fn without_scheme(text: &str) -> Option<(bool, &str)> {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')));
    match end.map(|end| text.split_at(end)) {
        Some(("", rest)) if rest.starts_with(':') => None,
        Some((scheme, rest)) if scheme.starts_with(|c: char| c.is_ascii_alphabetic()) => {
            Some(rest.strip_prefix(':').map_or((false, text), |rest| (true, rest)))
        }
        _ => Some((false, text)),
    }
}

/// `user:password@host:port`.
fn is_authority(authority: &str) -> bool {
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let in_user = |b: u8| b.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&b);
    let in_host = |b: u8| !b.is_ascii() || b.is_ascii_alphanumeric() || b"-_.~!$&'()*+,;=:[]<>\"%".contains(&b);
    let port = if host.starts_with('[') {
        host.rsplit_once(']').map(|(_, port)| port)
    } else {
        Some(host.rfind(':').map_or("", |colon| host.split_at(colon).1))
    };
    let port_is_right = port.is_some_and(|port| {
        port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()))
    });
    port_is_right && user.bytes().all(in_user) && is_escaped(user) && host.bytes().all(in_host) && is_escaped(host)
}

/// Whether every `%` is followed by two hexadecimal digits.
fn is_escaped(text: &str) -> bool {
    let is_hex = |b: Option<&u8>| b.is_some_and(u8::is_ascii_hexdigit);
    text.split('%').skip(1).all(|after| is_hex(after.as_bytes().first()) && is_hex(after.as_bytes().get(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(is: fn(&str) -> bool, good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(is(text), "{text:?} should be taken");
        }
        for text in bad {
            assert!(!is(text), "{text:?} should be refused");
        }
    }

    #[test]
    fn dates() {
        all(
            is_date,
            &["2026-11-30", "2028-02-29", "0001-01-01", "9999-12-31", "0000-01-01"],
            &[
                "",
                "2027-02-29",
                "2026-13-01",
                "2026-1-01",
                "+026-01-01",
                "2026-+1-01",
                "2026-01-01T00:00:00Z",
                "01/01/2025",
                "20260101",
                "-026-01-01",
                "２026-01-01",
            ],
        );
    }

    #[test]
    fn names_of_labels_and_objects() {
        let long = "a".repeat(63);
        let longer = "a".repeat(64);
        all(
            is_label_key,
            &["a", "node.example/pool", "A_b.c-d", &long, &format!("{longer}.example/x")],
            &["", "/a", "a/", "a/b/c", "node example", "-a", "a.", "Node.example/pool", "é", &longer],
        );
        all(is_label_value, &["", "a", "A_b.c-d", &long], &["-a", "a b", "a.", &longer]);
        all(
            is_subdomain,
            &["a", "a-b.c", &long, &longer],
            &["", "A", "a..b", ".a", "a.", "-a", "a_b", "é", &"a".repeat(254)],
        );
    }

    #[test]
    fn web_addresses() {
        all(
            is_url,
            &[
                "https://cyber.gouv.fr/",
                "http://example.com",
                "https://user@example.com:8443/a?b=c#d",
                "https://u:p@[::1]:80/",
                "https://example.com:99999/a b%20c",
                "https://exämple.com/",
                "/path",
                "mailto:somebody",
            ],
            &[
                "",
                "example.com",
                ":x",
                "https://a b/",
                "https://a/\n",
                "https://a/%zz",
                "https://a:b/",
                "https://[::1/",
                "https://a#b",
                "https://u ser@a/",
                "https://a/%2",
            ],
        );
    }
}

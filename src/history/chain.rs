//! Hash chain: each entry names the hash of the one before, so that one that is dropped, altered or moved is noticed.
//!
//! A [`ChainWriter`] makes lines of events; [`unseal`] reads one back and says whether it is as it was written. The hash of an
//! entry is the SHA-256 of its line without the hash. It shows loss and tampering with a part; whoever can rewrite a whole
//! chain can make another, which only a hash that was noted elsewhere shows.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::entry::{API_VERSION, HistoryEntry, HistoryEvent};

/// What the first entry of a chain names as the one before.
pub const NOTHING_BEFORE: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// What stands between an entry and its hash.
const SEAL: &str = ",\"hash\":\"";
/// What stands after the hash.
const END: &str = "\"}";

/// The SHA-256 of `bytes`, in hexadecimal digits.
#[must_use]
pub fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Writes one chain.
#[derive(Clone, Debug)]
pub struct ChainWriter {
    chain: String,
    next: u64,
    previous: String,
    /// The instant of the last entry: time does not go back in a chain.
    latest: jiff::Timestamp,
}

impl ChainWriter {
    /// A chain of `replica` that begins at `at`.
    #[must_use]
    pub fn new(replica: &str, at: jiff::Timestamp) -> Self {
        Self { chain: format!("{replica}@{at}"), next: 0, previous: NOTHING_BEFORE.to_owned(), latest: at }
    }

    /// The line that says `event`, seen at `at`; without a line break.
    pub fn line(&mut self, event: HistoryEvent, at: jiff::Timestamp) -> String {
        self.latest = self.latest.max(at);
        let entry = HistoryEntry {
            api_version: API_VERSION.to_owned(),
            chain: self.chain.clone(),
            seq: self.next,
            at: self.latest,
            previous: std::mem::take(&mut self.previous),
            event,
        };
        // An entry is texts and numbers: there is nothing in it that JSON cannot say.
        let mut line = serde_json::to_string(&entry).unwrap_or_default();
        let hash = hash(line.as_bytes());
        line.truncate(line.len().saturating_sub(1));
        line.push_str(SEAL);
        line.push_str(&hash);
        line.push_str(END);
        self.next = self.next.saturating_add(1);
        self.previous = hash;
        line
    }
}

/// A line of a chain, as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct UnsealedLine {
    /// What it says of the chain.
    pub link: ChainLink,
    /// Its hash, as it says it.
    pub hash: String,
    /// Whether the rest of the line has that hash.
    pub intact: bool,
    /// What it says, or why that cannot be read.
    pub event: Result<HistoryEvent, String>,
}

/// The place of an entry in its chain.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
pub struct ChainLink {
    /// The chain.
    pub chain: String,
    /// The place, from 0.
    pub seq: u64,
    /// When it was seen.
    pub at: jiff::Timestamp,
    /// The hash of the entry before.
    pub previous: String,
}

/// Reads `text`, a line that begins as an entry does.
///
/// # Errors
/// When it is no entry, or does not tell its place in a chain; with why.
pub fn unseal(text: &str) -> Result<UnsealedLine, String> {
    let unsealed = text.strip_suffix(END).and_then(|text| text.rsplit_once(SEAL));
    let Some((body, hash_said)) = unsealed else { return Err("it does not end with its hash".to_owned()) };
    let body = format!("{body}}}");
    let link: ChainLink = serde_json::from_str(&body).map_err(|error| error.to_string())?;
    let intact = hash(body.as_bytes()) == hash_said;
    let event = serde_json::from_str::<HistoryEntry>(&body);
    let event = event.map(|entry| entry.event).map_err(|error| error.to_string());
    Ok(UnsealedLine { link, hash: hash_said.to_owned(), intact, event })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_as_it_was_written_and_an_altered_one_is_noticed() {
        let at: jiff::Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let mut chain = ChainWriter::new("a", at);
        let first = chain.line(HistoryEvent::Complete, at);
        let left = HistoryEvent::PodLeft { uid: "u,\"hash\":\"".to_owned(), ungoverned: false };
        let second = chain.line(left.clone(), "2026-03-01T11:00:00Z".parse().unwrap());
        let (one, two) = (unseal(&first).unwrap(), unseal(&second).unwrap());
        assert_eq!(
            (one.link.previous.as_str(), one.intact, &one.event),
            (NOTHING_BEFORE, true, &Ok(HistoryEvent::Complete))
        );
        assert_eq!((&two.link.previous, two.link.seq, two.event), (&one.hash, 1, Ok(left)));
        assert_eq!(two.link.at, at, "time does not go back");
        assert!(!unseal(&second.replace("\"seq\":1", "\"seq\":2")).unwrap().intact);
        assert!(unseal(&first[..first.len() - 3]).is_err());
        let later = first.replace("\"kind\":\"Complete\"", "\"kind\":\"OfALaterVersion\"");
        assert!(unseal(&later).unwrap().event.is_err());
    }
}

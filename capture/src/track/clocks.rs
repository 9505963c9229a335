//! How far the clocks of capture files are apart, measured at openings that several of them saw.

use std::collections::{BTreeMap, HashMap};

use crate::flow::Socket;
use crate::time::Timestamp;

/// Times that are kept at most.
const MAX_SAMPLES: usize = 100_000;

/// When openings (client and initial sequence number) were first seen in each file.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    openings: HashMap<(Socket, u32), Vec<(u16, Timestamp)>>,
}

impl Clocks {
    /// Notes an opening seen in the file `source` of `sources`.
    pub(super) fn note(&mut self, source: u16, sources: u16, time: Timestamp, opening: (Socket, u32)) {
        let room = self.openings.len() < MAX_SAMPLES / usize::from(sources.max(1));
        if !room && !self.openings.contains_key(&opening) {
            return;
        }
        let seen = self.openings.entry(opening).or_default();
        match seen.iter_mut().find(|(known, _)| *known == source) {
            // The first of a repeated opening, whichever came first.
            Some((_, known)) => *known = time.min(*known),
            None => seen.push((source, time)),
        }
    }

    /// Median difference of each two files; see [`Tracked::skew`](super::Tracked::skew).
    pub(super) fn skew(self) -> BTreeMap<(u16, u16), i64> {
        let mut samples: BTreeMap<(u16, u16), Vec<i64>> = BTreeMap::new();
        for mut seen in self.openings.into_values().filter(|seen| seen.len() > 1) {
            seen.sort_unstable();
            for (at, (first, start)) in seen.iter().enumerate() {
                for (second, end) in &seen[at + 1..] {
                    samples.entry((*first, *second)).or_default().push(end.since(*start));
                }
            }
        }
        samples
            .into_iter()
            .map(|(sources, mut differences)| {
                differences.sort_unstable();
                (sources, differences[differences.len() / 2])
            })
            .collect()
    }
}

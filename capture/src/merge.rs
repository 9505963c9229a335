//! Several capture files read as one, about in the order of time: what is held at a time stays little, and nothing else
//! depends on it.

use crate::file::{CaptureFile, FileError};
use crate::time::Timestamp;
use crate::track::Tracker;

/// What one file covered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The earliest and the latest frame; `None` where the file holds none.
    pub times: Option<(Timestamp, Timestamp)>,
}

/// Feeds all frames of `files` between `since` (inclusive) and `until` (exclusive) to `tracker`, the earliest first.
/// Files that were opened in another order give the same result. `progress` is told the number of frames read, now and
/// then.
///
/// # Errors
/// The first file that cannot be read; a file that is merely damaged or cut ends early and says so in
/// [`CaptureFile::damage`].
pub fn read(
    files: &mut [CaptureFile],
    tracker: &mut Tracker,
    since: Timestamp,
    until: Timestamp,
    mut progress: impl FnMut(u64),
) -> Result<Vec<Span>, FileError> {
    let mut spans = vec![Span { times: None }; files.len()];
    // The next frame's time of each file; at the end of a file it is gone from the list.
    let mut next: Vec<(Timestamp, usize)> = Vec::with_capacity(files.len());
    for (index, file) in files.iter_mut().enumerate() {
        if let Some(time) = file.advance()? {
            next.push((time, index));
        }
    }
    let mut count = 0u64;
    while let Some(at) = (0..next.len()).min_by_key(|at| next[*at]) {
        // Up to the next frame of any other file.
        let rest = (0..next.len()).filter(|other| *other != at).map(|other| next[other].0);
        let turn = rest.min().unwrap_or(Timestamp::MAX);
        let index = next[at].1;
        let (mut first, mut last) = spans[index].times.unwrap_or((Timestamp::MAX, Timestamp::MIN));
        let following = files[index].run(turn, |frame| {
            let time = frame.time;
            (first, last) = (first.min(time), last.max(time));
            if since <= time && time < until {
                tracker.frame(index as u16, frame);
            }
            count += 1;
            if count.is_multiple_of(1 << 16) {
                progress(count);
            }
        })?;
        spans[index].times = Some((first, last));
        match following {
            Some(time) => next[at].0 = time,
            None => {
                next.swap_remove(at);
            }
        }
    }
    Ok(spans)
}

//! A log as it is at one moment, as a file of its own.

use std::path::Path;

use anyhow::Context;

use super::Log;
use super::open::tell;

/// Copies the log `from` to `to`, which must not be there. Somebody may be writing to it meanwhile.
pub(crate) fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let log = Log::open_read(from)?;
    let copied = log.connection.execute("VACUUM INTO ?1", [to.to_string_lossy()]);
    copied.map_err(|error| tell(error.into())).with_context(|| to.display().to_string()).map(|_| ())
}

//! Opening logs: new ones, those of others, and what is none.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::seal::Seals;
use super::{Log, damaged};

/// `PRAGMA application_id`: "RFLG".
const APPLICATION: i32 = 0x5246_4c47;

/// `PRAGMA user_version`: that of `schema.sql`.
const VERSION: i32 = 1;

const SCHEMA: &str = include_str!("schema.sql");

/// How long another process may hold the log before that is an error.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a file holds.
#[derive(Debug, PartialEq, Eq)]
enum Content {
    /// Nothing: it is new, or was not finished.
    Nothing,
    Log,
}

impl Log {
    /// Opens a log to append to; makes one where there is no file, or an empty one. What a killed process left in a
    /// write-ahead log beside it is taken in.
    ///
    /// # Errors
    /// A file that is no flow log, is one of another version, or is damaged; it is left as it is.
    pub(crate) fn create_or_open(path: &Path) -> anyhow::Result<Log> {
        let open = || {
            let flags =
                OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(path, flags)?;
            connection.busy_timeout(PATIENCE)?;
            // Before anything is written: the file may be somebody else's.
            let content = examine(&connection)?;
            if content == Content::Log {
                verify(&connection)?;
            }
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "NORMAL")?;
            if content == Content::Nothing {
                create(&connection)?;
            }
            anyhow::Ok(connection)
        };
        Ok(Log {
            connection: open().map_err(tell).with_context(|| path.display().to_string())?,
            path: path.to_path_buf(),
        })
    }

    /// Opens a log to read it, also where nothing can be written.
    ///
    /// # Errors
    /// As [`Log::create_or_open`]; an empty file is no log.
    pub(crate) fn open_read(path: &Path) -> anyhow::Result<Log> {
        let open = || {
            if fs::metadata(path)?.is_dir() {
                bail!("it is a directory, not a flow log");
            }
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
            let mut connection = Connection::open_with_flags(path, flags)?;
            connection.busy_timeout(PATIENCE)?;
            let mut content = examine(&connection);
            // A log that was not closed wants an index beside it, which read-only media do not take.
            if content.as_ref().is_err_and(|error| has_code(error, &[ErrorCode::CannotOpen, ErrorCode::ReadOnly])) {
                let beside = beside(path);
                if fs::metadata(&beside).is_ok_and(|found| found.len() > 0) {
                    bail!(
                        "it was not closed, and what {} holds can be taken in only where the directory can be written: copy \
                         both elsewhere",
                        beside.display()
                    );
                }
                connection = Connection::open_with_flags(immutable(path)?, flags)?;
                content = examine(&connection);
            }
            match content? {
                Content::Nothing => bail!("it is empty, not a flow log"),
                Content::Log => verify(&connection)?,
            }
            Ok(connection)
        };
        Ok(Log {
            connection: open().map_err(tell).with_context(|| path.display().to_string())?,
            path: path.to_path_buf(),
        })
    }

    /// An empty log that nobody else sees, and that is gone with the process.
    pub(crate) fn temporary() -> anyhow::Result<Log> {
        let connection = Connection::open("")?;
        connection.pragma_update(None, "journal_mode", "MEMORY")?;
        connection.pragma_update(None, "synchronous", "OFF")?;
        create(&connection)?;
        Ok(Log { connection, path: PathBuf::from("flow logs") })
    }

    /// Closes it so that it is one file, which can be read from read-only media. A log that is not closed is as good to
    /// whoever may write beside it.
    pub(crate) fn close(self) -> anyhow::Result<()> {
        let path = self.path.display().to_string();
        // Somebody may be reading it: then it stays as it is.
        let _ = self.connection.pragma_update(None, "journal_mode", "DELETE");
        self.connection.close().map_err(|(_, error)| tell(error.into())).context(path)
    }
}

/// The write-ahead log of a database.
pub(super) fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push("-wal");
    PathBuf::from(name)
}

/// A path as a URI (RFC 3986 §2.1) of a file that nobody changes.
fn immutable(path: &Path) -> anyhow::Result<String> {
    let absolute = fs::canonicalize(path)?;
    let mut uri = "file:".to_string();
    for byte in absolute.as_os_str().as_encoded_bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => uri.push(char::from(*byte)),
            _ => uri += &format!("%{byte:02X}"),
        }
    }
    Ok(uri + "?immutable=1")
}

/// Whether the file is a flow log of this version.
fn examine(connection: &Connection) -> anyhow::Result<Content> {
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let (application, version) = (number("application_id")?, number("user_version")?);
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (application, version, tables) {
        (0, 0, 0) => Ok(Content::Nothing),
        (APPLICATION, VERSION, _) => Ok(Content::Log),
        (APPLICATION, version, _) => bail!("a flow log of version {version}; this program reads version {VERSION}"),
        _ => bail!("an SQLite database of another application, not a flow log"),
    }
}

fn create(connection: &Connection) -> anyhow::Result<()> {
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch(SCHEMA)?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    Seals::empty().write(&transaction)?;
    Ok(transaction.commit()?)
}

/// Holds all of the log against what it has to be.
fn verify(connection: &Connection) -> anyhow::Result<()> {
    let tables = |connection: &Connection| -> anyhow::Result<Vec<(String, Option<String>)>> {
        let mut statement = connection.prepare("SELECT name, sql FROM sqlite_schema ORDER BY name")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    };
    let fresh = Connection::open_in_memory()?;
    fresh.execute_batch(SCHEMA)?;
    if tables(connection)? != tables(&fresh)? {
        return Err(damaged("its tables are not those of its version"));
    }
    let check: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if check != "ok" {
        return Err(damaged(check.lines().next().unwrap_or_default().trim_start_matches("*** ")));
    }
    Seals::verify(connection)
}

fn has_code(error: &anyhow::Error, codes: &[ErrorCode]) -> bool {
    let sqlite = error.downcast_ref::<rusqlite::Error>();
    sqlite.and_then(rusqlite::Error::sqlite_error_code).is_some_and(|code| codes.contains(&code))
}

/// What SQLite says, in the words of the log.
pub(super) fn tell(error: anyhow::Error) -> anyhow::Error {
    if has_code(&error, &[ErrorCode::NotADatabase]) {
        anyhow::anyhow!("not a flow log")
    } else if has_code(&error, &[ErrorCode::DatabaseCorrupt])
        || error.downcast_ref::<rusqlite::Error>().is_some_and(is_wrong_type)
    {
        damaged(&error.to_string())
    } else if has_code(&error, &[ErrorCode::DiskFull]) {
        anyhow::anyhow!("no space left for the flow log; what it held before is untouched")
    } else if has_code(&error, &[ErrorCode::DatabaseBusy, ErrorCode::DatabaseLocked]) {
        anyhow::anyhow!("another process is writing to it")
    } else {
        error
    }
}

/// Whether a column holds what its table does not allow.
fn is_wrong_type(error: &rusqlite::Error) -> bool {
    matches!(
        error,
        rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::Utf8Error(..)
    )
}

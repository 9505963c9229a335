//! Points in time.

use std::fmt;
use std::str::FromStr;

use jiff::fmt::temporal::DateTimeParser;

/// Nanoseconds since the Unix epoch, UTC. Captures carry microseconds or nanoseconds, Kubernetes objects seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

/// One second in nanoseconds.
pub const SECOND: i64 = 1_000_000_000;

impl Timestamp {
    /// Before everything.
    pub const MIN: Timestamp = Timestamp(i64::MIN);
    /// After everything.
    pub const MAX: Timestamp = Timestamp(i64::MAX);

    /// `self + nanoseconds`, clamped to what can be expressed.
    pub fn plus(self, nanoseconds: i64) -> Timestamp {
        Timestamp(self.0.saturating_add(nanoseconds))
    }

    /// The last whole multiple of `grain` nanoseconds since the Unix epoch, at or before `self`.
    pub fn floor(self, grain: i64) -> Timestamp {
        Timestamp(self.0.saturating_sub(self.0.rem_euclid(grain.max(1))))
    }

    /// Nanoseconds from `earlier` to `self`; negative where `self` is the earlier one.
    pub fn since(self, earlier: Timestamp) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The day in UTC, `2026-11-01`.
    pub fn date(self) -> String {
        let text = self.to_string();
        text.split('T').next().unwrap_or(&text).to_string()
    }
}

/// RFC 3339 in UTC, with as many of 3, 6 or 9 fractional digits as are needed: `2026-11-01T00:00:03.5Z` prints `.500`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(instant) = jiff::Timestamp::from_nanosecond(i128::from(self.0)) else {
            return write!(f, "@{}", self.0);
        };
        match self.0.rem_euclid(SECOND) {
            0 => write!(f, "{instant:.0}"),
            n if n % 1_000_000 == 0 => write!(f, "{instant:.3}"),
            n if n % 1_000 == 0 => write!(f, "{instant:.6}"),
            _ => write!(f, "{instant:.9}"),
        }
    }
}

/// What is wrong with a time somebody wrote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an RFC 3339 time such as 2026-11-01T08:00:00Z")]
pub struct TimeError {
    text: String,
}

/// Reads RFC 3339.
impl FromStr for Timestamp {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Timestamp, TimeError> {
        let bad = || TimeError { text: text.to_string() };
        let instant = DateTimeParser::new().parse_timestamp(text.as_bytes()).map_err(|_| bad())?;
        i64::try_from(instant.as_nanosecond()).map(Timestamp).map_err(|_| bad())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints() {
        for (text, printed) in [
            ("2026-11-01T00:00:03Z", "2026-11-01T00:00:03Z"),
            ("2026-11-01T02:00:03.5+02:00", "2026-11-01T00:00:03.500Z"),
            ("2026-11-01T00:00:03.000001Z", "2026-11-01T00:00:03.000001Z"),
            ("1969-12-31T23:59:59.999999999Z", "1969-12-31T23:59:59.999999999Z"),
        ] {
            assert_eq!(text.parse::<Timestamp>().unwrap().to_string(), printed);
        }
        assert!("yesterday".parse::<Timestamp>().is_err());
    }
}

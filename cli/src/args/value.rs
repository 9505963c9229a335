//! Values that the user types: sizes, times, shares, pairs of names.

use capture::time::SECOND;

/// `8M`, in bytes.
pub(super) fn bytes(text: &str) -> Result<u32, String> {
    let split = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = match unit {
        "" => Some(1),
        "K" | "k" => Some(1 << 10),
        "M" => Some(1 << 20),
        "G" => Some(1 << 30),
        _ => None,
    };
    let bytes = factor.and_then(|factor: u32| number.parse::<u32>().ok()?.checked_mul(factor));
    bytes
        .filter(|bytes| (1 << 17..=1 << 30).contains(bytes))
        .ok_or_else(|| "between 128K and 1G, such as 8M".to_string())
}

/// `90s`, `90m`, `24h`, `7d` in nanoseconds.
pub(super) fn duration(text: &str) -> Result<i64, String> {
    let wrong = || format!("{text:?} is no duration such as 90m, 24h or 7d");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let count: u32 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    i64::from(count).checked_mul(seconds * SECOND).ok_or_else(wrong)
}

/// A share of 100.
pub(super) fn percent(text: &str) -> Result<f64, String> {
    let share: f64 = text.trim_end_matches('%').parse().map_err(|_| format!("{text:?} is no number"))?;
    (0.0..=100.0).contains(&share).then_some(share).ok_or_else(|| format!("{text} is not between 0 and 100"))
}

/// `staging-shop=shop`.
pub(super) fn names(text: &str) -> Result<(String, String), String> {
    let (from, to) = text.split_once('=').ok_or_else(|| format!("{text:?} is not FROM=TO"))?;
    // RFC 1123 labels, as names of namespaces are.
    let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_name = |name: &str| {
        !name.is_empty()
            && name.len() <= 63
            && name.bytes().all(inside)
            && !name.starts_with('-')
            && !name.ends_with('-')
    };
    match [from, to].into_iter().find(|name| !is_name(name)) {
        Some(name) => Err(format!("{name:?} is no name of a namespace")),
        None => Ok((from.to_string(), to.to_string())),
    }
}

//! Values of columns: comparing, combining, and what lists look like as text.

use std::cmp::Ordering;

use capture::activity::NARROWEST;
use capture::{Activity, Timestamp};
use rusqlite::types::Value;

use super::table::Mode;

/// The order of values: NULL, numbers, text.
fn order(one: &Value, two: &Value) -> Ordering {
    let rank = |value: &Value| match value {
        Value::Null => 0,
        Value::Integer(_) => 1,
        _ => 2,
    };
    match (one, two) {
        (Value::Integer(one), Value::Integer(two)) => one.cmp(two),
        (Value::Text(one), Value::Text(two)) => one.cmp(two),
        _ => rank(one).cmp(&rank(two)),
    }
}

/// Compares rows of values.
pub(super) fn compare(one: &[Value], two: &[Value]) -> Ordering {
    let pairs = one.iter().zip(two).map(|(one, two)| order(one, two));
    pairs.fold(Ordering::Equal, Ordering::then)
}

pub(super) fn larger(one: &Value, two: &Value) -> Value {
    if order(one, two).is_lt() { two.clone() } else { one.clone() }
}

/// The smaller that says something.
pub(super) fn smaller(one: &Value, two: &Value) -> Value {
    let says_nothing = |value: &Value| matches!(value, Value::Null) || *value == Value::Text(String::new());
    match (says_nothing(one), says_nothing(two)) {
        (true, false) => two.clone(),
        (false, true) => one.clone(),
        _ if order(two, one).is_lt() => two.clone(),
        _ => one.clone(),
    }
}

pub(super) fn or(one: &Value, two: &Value) -> Value {
    Value::Integer(number(one) | number(two))
}

/// A sum, or the larger; NULL where neither knows.
pub(super) fn count(one: &Value, two: &Value, mode: Mode) -> Value {
    match (one, two, mode) {
        (Value::Integer(one), Value::Integer(two), Mode::Add) => Value::Integer(one.saturating_add(*two)),
        _ => larger(one, two),
    }
}

fn number(value: &Value) -> i64 {
    match value {
        Value::Integer(number) => *number,
        _ => 0,
    }
}

fn text(value: &Value) -> &str {
    match value {
        Value::Text(text) => text,
        _ => "",
    }
}

/// The bins of either.
pub(super) fn bins(one: &Value, two: &Value) -> Value {
    match (text(one), text(two)) {
        (one, two) if two.is_empty() || one == two => Value::Text(one.to_string()),
        ("", two) => Value::Text(two.to_string()),
        (one, two) => {
            // What cannot be read is noticed where rows become flows; here it must not be lost.
            let Some((mut activity, other)) = read_bins(one).zip(read_bins(two)) else {
                return Value::Text(one.max(two).to_string());
            };
            activity.merge(&other);
            Value::Text(write_bins(&activity))
        }
    }
}

/// `WIDTH:START,START` in minutes; empty without bins.
pub(super) fn write_bins(activity: &Activity) -> String {
    if activity.is_empty() {
        return String::new();
    }
    let starts: Vec<String> = activity.iter().map(|start| start.0.div_euclid(NARROWEST).to_string()).collect();
    format!("{}:{}", activity.width() / NARROWEST, starts.join(","))
}

/// What [`write_bins`] wrote.
pub(super) fn read_bins(text: &str) -> Option<Activity> {
    if text.is_empty() {
        return Some(Activity::default());
    }
    let (width, starts) = text.split_once(':')?;
    let minutes = |text: &str| text.parse::<i64>().ok()?.checked_mul(NARROWEST);
    let starts: Option<Vec<i64>> = starts.split(',').map(minutes).collect();
    Activity::of(minutes(width)?, starts?.into_iter().map(Timestamp))
}

/// The counts of both by value.
pub(super) fn histogram(one: &Value, two: &Value, mode: Mode) -> Value {
    let (one, two) = (text(one), text(two));
    if two.is_empty() || one.is_empty() {
        return Value::Text([one, two].concat());
    }
    let Some((mut all, other)) = read_histogram(one).zip(read_histogram(two)) else {
        return Value::Text(one.max(two).to_string());
    };
    for (value, count) in other {
        match all.binary_search_by_key(&value, |(known, _)| *known) {
            Ok(at) if mode == Mode::Add => all[at].1 = all[at].1.saturating_add(count),
            Ok(at) => all[at].1 = all[at].1.max(count),
            Err(at) => all.insert(at, (value, count)),
        }
    }
    Value::Text(write_histogram(all))
}

/// `VALUE:COUNT,VALUE:COUNT`.
pub(super) fn write_histogram(pairs: impl IntoIterator<Item = (u32, u32)>) -> String {
    pairs.into_iter().map(|(value, count)| format!("{value}:{count}")).collect::<Vec<_>>().join(",")
}

/// What [`write_histogram`] wrote, ascending.
pub(super) fn read_histogram(text: &str) -> Option<Vec<(u32, u32)>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    let pair = |text: &str| {
        let (value, count) = text.split_once(':')?;
        Some((value.parse().ok()?, count.parse().ok()?))
    };
    text.split(',').map(pair).collect()
}

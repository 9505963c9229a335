//! Asking again: an API server that is busy or restarts is back within a minute.

use std::future::Future;
use std::time::Duration;

use kube::Error;
use tokio::time::{Instant, sleep};

/// How long a server that has not answered yet is waited for: a wrong address should not take a minute.
const FIRST: Duration = Duration::from_secs(3);
/// How long what a server only passes on is waited for: the server is well, and others are waiting.
const BRIEF: Duration = Duration::from_secs(10);
/// How long one that has answered before is waited for.
const LATER: Duration = Duration::from_secs(60);
/// The longest pause between two attempts.
const LONGEST: Duration = Duration::from_secs(10);

/// Whether asking again may help: connections that fail or break, 429 and 5xx.
pub(super) fn is_passing(error: &Error) -> bool {
    match error {
        Error::Api(status) => status.code == 429 || (500..600).contains(&status.code),
        Error::Service(_) | Error::HyperError(_) | Error::ReadEvents(_) => true,
        _ => false,
    }
}

/// Asks a server that has not answered yet.
pub(crate) async fn retried<T, F: Future<Output = kube::Result<T>>>(ask: impl FnMut() -> F) -> kube::Result<T> {
    within(FIRST, ask).await
}

/// Asks for what is behind a server that has answered before.
pub(crate) async fn briefly<T, F: Future<Output = kube::Result<T>>>(ask: impl FnMut() -> F) -> kube::Result<T> {
    within(BRIEF, ask).await
}

/// Asks a server that has answered before.
pub(crate) async fn patiently<T, F: Future<Output = kube::Result<T>>>(ask: impl FnMut() -> F) -> kube::Result<T> {
    within(LATER, ask).await
}

async fn within<T, F: Future<Output = kube::Result<T>>>(
    patience: Duration,
    mut ask: impl FnMut() -> F,
) -> kube::Result<T> {
    let start = Instant::now();
    let mut pause = Duration::from_millis(200);
    loop {
        let error = match ask().await {
            Ok(answer) => return Ok(answer),
            Err(error) if !is_passing(&error) => return Err(error),
            Err(error) => error,
        };
        let asked = match &error {
            Error::Api(status) => status.details.as_ref().map(|details| details.retry_after_seconds),
            _ => None,
        };
        // A server may ask for more than the next pause, never for all of the patience.
        let wait = pause.max(Duration::from_secs(asked.unwrap_or_default().into())).min(LONGEST);
        if start.elapsed() + wait > patience {
            return Err(error);
        }
        sleep(wait).await;
        pause = (pause * 2).min(LONGEST);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use kube::core::Status;

    use super::*;

    fn failure(code: u16) -> Error {
        Error::Api(Status::failure("no", "Reason").with_code(code).boxed())
    }

    #[test]
    fn what_passes() {
        for (code, passes) in
            [(429, true), (500, true), (503, true), (400, false), (401, false), (403, false), (410, false)]
        {
            assert_eq!(is_passing(&failure(code)), passes, "{code}");
        }
        assert!(is_passing(&Error::Service("connection refused".into())));
    }

    #[test]
    fn asks_again_for_a_while() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        for (codes, patience, asked, shows) in [
            (vec![503, 429], 5000, 3, "until it answers"),
            (vec![403], 5000, 1, "not where it is refused"),
            (vec![503; 9], 500, 2, "not for ever"),
        ] {
            let times = Cell::new(0);
            let answer = runtime.block_on(within(Duration::from_millis(patience), || {
                let at = times.replace(times.get() + 1);
                let code = codes.get(at).copied();
                async move { code.map_or(Ok(()), |code| Err(failure(code))) }
            }));
            assert_eq!((times.get(), answer.is_ok()), (asked, asked > codes.len()), "{shows}");
        }
    }
}

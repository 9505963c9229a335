//! All kinds of a cluster, as one dump.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use anyhow::bail;
use capture::Timestamp;
use kube::Error;
use serde_json::Value;
use synth::manifest::dump::Dump;
use synth::manifest::reduce::reduce;

use super::kinds::{KINDS, Kind};
use super::list::list;
use super::{Server, explained, patiently, retried};

/// What was read of a live cluster.
pub(crate) struct Read {
    pub(crate) dump: Dump,
    /// What could not be read, in words.
    pub(crate) problems: Vec<String>,
}

/// Reads every kind that is of use, reduced; of `namespaces` only, where there are any. `progress` is told what is being
/// read and how many objects there are so far.
///
/// # Errors
///
/// The server cannot be reached, or does not know the user. Kinds that alone cannot be read are problems.
pub(crate) async fn read(
    server: &Server,
    namespaces: &[String],
    mut progress: impl FnMut(&str, usize),
) -> anyhow::Result<Read> {
    let groups = groups(server).await?;
    let mut found = Read { dump: Dump::default(), problems: Vec::new() };
    for kind in &KINDS {
        progress(kind.plural, found.dump.len());
        let Some(version) = version(server, kind, &groups).await? else { continue };
        let scopes: Vec<Option<&str>> = match kind.namespaced && !namespaces.is_empty() {
            true => namespaces.iter().map(|name| Some(name.as_str())).collect(),
            false => vec![None],
        };
        for scope in scopes {
            one(server, kind, version, scope, &mut found).await?;
        }
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    // Seconds are what the API counts in.
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    found.dump.taken = Some(Timestamp(seconds.saturating_mul(capture::time::SECOND)));
    Ok(found)
}

/// The API groups of the server and their versions. It is the first thing asked.
async fn groups(server: &Server) -> anyhow::Result<Option<BTreeMap<String, Vec<String>>>> {
    match retried(|| server.client.list_api_groups()).await {
        Ok(list) => {
            let versions = |group: k8s_openapi::apimachinery::pkg::apis::meta::v1::APIGroup| {
                let versions = group.versions.into_iter().map(|version| version.version).collect();
                (group.name, versions)
            };
            Ok(Some(list.groups.into_iter().map(versions).collect()))
        }
        // Everybody may look unless somebody took that away: then each kind is asked for.
        Err(Error::Api(status)) if status.code == 403 => Ok(None),
        Err(error) => Err(explained(error, server)),
    }
}

/// The version in which a kind is read; `None` where the server does not have it.
async fn version(
    server: &Server,
    kind: &Kind,
    groups: &Option<BTreeMap<String, Vec<String>>>,
) -> anyhow::Result<Option<&'static str>> {
    let Some(groups) = groups else { return Ok(kind.versions.first().copied()) };
    if kind.group.is_empty() {
        return Ok(kind.versions.first().copied());
    }
    let Some(served) = groups.get(kind.group) else { return Ok(None) };
    for version in kind.versions.iter().copied().filter(|version| served.iter().any(|served| served == version)) {
        if kind.built_in {
            return Ok(Some(version));
        }
        let name = format!("{}/{version}", kind.group);
        let resources = match patiently(|| server.client.list_api_group_resources(&name)).await {
            Ok(list) => list.resources,
            // Gone since the groups were listed, or not to be seen.
            Err(Error::Api(status)) if matches!(status.code, 403 | 404) => continue,
            Err(error) => return Err(explained(error, server)),
        };
        if resources.iter().any(|resource| resource.name == kind.plural) {
            return Ok(Some(version));
        }
    }
    Ok(None)
}

/// Reads one kind into the dump.
async fn one(
    server: &Server,
    kind: &Kind,
    version: &str,
    namespace: Option<&str>,
    found: &mut Read,
) -> anyhow::Result<()> {
    let mut misfits: BTreeSet<String> = BTreeSet::new();
    let keep = |object: Value| match reduce(&object) {
        Ok(reduced) => Some(reduced),
        Err(misfit) => {
            misfits.insert(misfit.to_string());
            None
        }
    };
    match list(server, kind, version, namespace, keep).await {
        Ok(listed) => {
            found.dump.version = found.dump.version.max(listed.version);
            listed.items.into_iter().for_each(|object| found.dump.add(object));
        }
        // The group is there, the kind is not.
        Err(Error::Api(status)) if status.code == 404 => {}
        Err(Error::Api(status)) if status.code == 403 => {
            let scope = namespace.map_or_else(String::new, |name| format!(" in namespace {name}"));
            found.problems.push(match refused_user(&status.message) {
                Some(user) => format!("{user} may not list {}{scope}", kind.resource()),
                None => format!("may not list {}{scope}: {}", kind.resource(), status.message),
            });
        }
        Err(Error::Api(status)) if status.code != 401 => {
            found.problems.push(format!("cannot list {}: {} ({})", kind.resource(), status.message, status.code));
        }
        Err(error) => bail!(explained(error, server).context(format!("cannot list {}", kind.resource()))),
    }
    found.problems.extend(misfits);
    Ok(())
}

/// `dev` of `nodes is forbidden: User "dev" cannot list resource "nodes" in API group "" at the cluster scope`: the rest
/// is known, and of a user with few rights there are many.
fn refused_user(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("is forbidden: User \"")?;
    let (user, what) = rest.split_once("\" cannot list resource ")?;
    // What an authorizer adds is news.
    (!user.is_empty() && (what.ends_with("at the cluster scope") || what.ends_with('"'))).then_some(user)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_refused() {
        let nodes = "nodes is forbidden: User \"dev\" cannot list resource \"nodes\" in API group \"\"";
        for (message, expected) in [
            (format!("{nodes} at the cluster scope"), Some("dev")),
            (format!("{nodes} in the namespace \"shop\""), Some("dev")),
            (format!("{nodes} at the cluster scope: RBAC: clusterrole \"x\" not found"), None),
            ("denied by policy".to_string(), None),
        ] {
            assert_eq!(refused_user(&message), expected, "{message}");
        }
    }
}

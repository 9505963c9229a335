//! One kind, page by page.

use kube::Error;
use kube::api::ListParams;
use kube::core::Request;
use serde::Deserialize;
use serde_json::Value;
use synth::manifest::reduce::Reduced;

use super::kinds::{Kind, Part};
use super::{Server, patiently};

/// How often a list whose continue token has expired is begun anew in pages; after that it is read as a whole.
const RESTARTS: usize = 3;
/// Objects a page where only metadata is read.
const METADATA: u32 = 500;

/// All objects of a list.
pub(super) struct Listed {
    pub(super) items: Vec<Reduced>,
    /// `metadata.resourceVersion` as a number, 0 where it is none.
    pub(super) version: u64,
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    metadata: PageMetadata,
    #[serde(default)]
    items: Option<Vec<Value>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PageMetadata {
    resource_version: Option<String>,
    r#continue: Option<String>,
}

/// Reads a kind in one version, of one namespace or of all. Each object is handed to `keep` and reduced there, so that
/// no more than a page is ever whole in memory.
pub(super) async fn list(
    server: &Server,
    kind: &Kind,
    version: &str,
    namespace: Option<&str>,
    mut keep: impl FnMut(Value) -> Option<Reduced>,
) -> kube::Result<Listed> {
    let request = Request::new(kind.path(version, namespace));
    let api_version = if kind.group.is_empty() { version.to_string() } else { format!("{}/{version}", kind.group) };
    let mut restarts = 0;
    let mut listed = Listed { items: Vec::new(), version: 0 };
    let mut token: Option<String> = None;
    loop {
        let limit = match kind.part {
            Part::Whole(limit) => limit,
            Part::Metadata => METADATA,
        };
        let params = ListParams {
            limit: (restarts <= RESTARTS).then_some(limit),
            continue_token: token.clone(),
            ..ListParams::default()
        };
        let page = match patiently(|| page(server, &request, kind.part, &params)).await {
            Ok(page) => page,
            // The list is older than what the server keeps: "Expired". What was read is of another moment than the rest.
            Err(Error::Api(status)) if status.code == 410 && token.is_some() => {
                restarts += 1;
                listed.items.clear();
                token = None;
                continue;
            }
            Err(error) => return Err(error),
        };
        let number = page.metadata.resource_version.and_then(|text| text.parse().ok());
        listed.version = listed.version.max(number.unwrap_or(0));
        for mut object in page.items.unwrap_or_default() {
            // Items of a typed list do not say what they are, and partial ones say that they are partial.
            object["apiVersion"] = api_version.as_str().into();
            object["kind"] = kind.name.into();
            listed.items.extend(keep(object));
        }
        token = page.metadata.r#continue.filter(|token| !token.is_empty());
        if token.is_none() {
            return Ok(listed);
        }
    }
}

async fn page(server: &Server, request: &Request, part: Part, params: &ListParams) -> kube::Result<Page> {
    let request = match part {
        Part::Whole(_) => request.list(params),
        Part::Metadata => request.list_metadata(params),
    };
    let text = server.client.request_text(request.map_err(Error::BuildRequest)?).await?;
    serde_json::from_str(&text).map_err(Error::SerdeError)
}

//! What a deployment is made from: its branch and its image.

use eyrie_core::model::{Branch, Deployment, Image};
use maud::{Markup, html};

use super::{PageAnswer, layout::text, time::moment};
use crate::authentication::Visitor;

/// What is known of it, as far as the visitor may see it.
pub(super) struct Sources {
    branch: Option<Branch>,
    image: Option<Image>,
}

pub(super) async fn of(visitor: &Visitor, deployment: &Deployment) -> PageAnswer<Sources> {
    let branch = match deployment.branch_id {
        Some(branch) => visible(visitor.acting.branch(branch).await)?,
        None => None,
    };
    let image = match deployment.image_id {
        Some(image) => visible(visitor.acting.image(image).await)?,
        None => None,
    };
    Ok(Sources { branch, image })
}

fn visible<T>(found: eyrie_core::Result<T>) -> eyrie_core::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// What the deployment's page says of them.
pub(super) fn facts(sources: &Sources, deployment: &Deployment) -> Markup {
    html! {
        @if let Some(branch) = &sources.branch {
            dt { "Branch" }
            dd {
                (text(branch.name.as_str()))
                @match &branch.head {
                    Some(head) => { " at " code { (short(head.commit.as_str())) } ", known since " (moment(head.recorded_at)) },
                    None => ", no commit known",
                }
                @if deployment.redeploy_on_commit { ". " (followed(deployment)) }
            }
        }
        @if let Some(image) = &sources.image {
            dt { "Image" }
            dd {
                code { (image.reference) }
                @match &image.current {
                    Some(current) => { " is " code { (short(current.digest.as_str())) } ", known since " (moment(current.recorded_at)) },
                    None => ", no digest known",
                }
                @if deployment.redeploy_on_digest { ". " (followed(deployment)) }
            }
        }
    }
}

/// Who has it redeployed.
fn followed(deployment: &Deployment) -> Markup {
    html! {
        "Deployed again when that changes"
        @if let Some(whose) = &deployment.redeploy_for { ", for " (text(&whose.to_string())) }
    }
}

/// As much of a commit or digest as tells it from others.
fn short(id: &str) -> &str {
    let start = id.find(':').map_or(0, |at| at + 1);
    id.get(..start + 12).unwrap_or(id)
}

//! The API's description as a page, made from the document.

use axum::{extract::State, response::Html};
use maud::{Markup, html};
use serde_json::{Map, Value};

use super::layout::{bare, json};
use crate::portal::Portal;

pub(super) async fn show(State(portal): State<Portal>) -> Html<String> {
    let empty = Value::Null;
    let document = portal.document.get().unwrap_or(&empty);
    bare(
        &format!("API · {}", portal.options.title),
        html! {
            div.docs {
                h1 { (word(document.pointer("/info/title"))) " API" }
                p.lead { (word(document.pointer("/info/description"))) }
                p { a href="/" { "To the overview" } " · " a href="/api/v1/openapi.json" { "The document as JSON" } }
                h2 { "Operations" }
                @for (path, methods) in entries(document.get("paths")) {
                    @for (method, operation) in entries(Some(methods)) { (shown(path, method, operation)) }
                }
                h2 { "Shapes" }
                @for (name, shape) in entries(document.pointer("/components/schemas")) {
                    details id={ "shape-" (name) } {
                        summary { code { (name) } " " span.faint { (word(shape.get("description"))) } }
                        (fields(shape))
                    }
                }
            }
        },
    )
}

fn word(value: Option<&Value>) -> &str {
    value.and_then(Value::as_str).unwrap_or_default()
}

fn entries(value: Option<&Value>) -> impl Iterator<Item = (&String, &Value)> {
    value.and_then(Value::as_object).into_iter().flat_map(Map::iter)
}

fn items(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

fn shown(path: &str, method: &str, operation: &Value) -> Markup {
    let public = items(operation.get("security")).any(|way| way.as_object().is_some_and(Map::is_empty));
    html! {
        details.operation {
            summary { span.method data-method=(method) { (method.to_uppercase()) } " " code { (path) } " " span.faint { (word(operation.get("summary"))) } }
            @if let Some(more) = operation.get("description").and_then(Value::as_str) { p { (more) } }
            @if public { p.faint { "Needs no token." } }
            @if items(operation.get("parameters")).next().is_some() {
                table { tbody { @for parameter in items(operation.get("parameters")) { tr {
                    td { code { (word(parameter.get("name"))) } }
                    td { (word(parameter.get("in"))) @if parameter.get("required") == Some(&Value::Bool(true)) { ", required" } }
                    td { (word(parameter.get("description"))) }
                } } } }
            }
            @if let Some(body) = operation.pointer("/requestBody/content/application~1json/schema") { p { "Body: " (kind(body)) } }
            table { tbody { @for (status, answer) in entries(operation.get("responses")) { tr {
                td { code { (status) } }
                td { (word(answer.get("description"))) }
                td { @for (_, content) in entries(answer.get("content")) { @if let Some(schema) = content.get("schema") { (kind(schema)) } } }
            } } } }
        }
    }
}

fn fields(shape: &Value) -> Markup {
    html! { table { tbody { @for (name, field) in entries(shape.get("properties")) { tr {
        td { code { (name) } }
        td { (kind(field)) }
        td { (word(field.get("description"))) }
    } } } } }
}

/// What a schema says, in a few words, with a link to a shape that has a name.
fn kind(schema: &Value) -> Markup {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str).and_then(|place| place.rsplit('/').next()) {
        return html! { a href={ "#shape-" (name) } { (name) } };
    }
    if let Some(item) = schema.get("items") {
        return html! { "list of " (kind(item)) };
    }
    let some: Vec<_> = items(schema.get("oneOf")).filter(|one| word(one.get("type")) != "null").collect();
    match (schema.get("type"), some.as_slice()) {
        (_, [one]) => html! { (kind(one)) " or null" },
        (Some(Value::String(name)), _) => html! { (name) },
        (Some(Value::Array(names)), _) => html! { (names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or ")) },
        (None, _) if schema.as_object().is_none_or(|fields| fields.keys().all(|key| key == "description")) => html! { "any JSON" },
        _ => html! { code { (json(schema)) } },
    }
}

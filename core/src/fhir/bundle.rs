//! Bundles: the changes that one carries, entry by entry, without a tree of the whole.
//!
//! In: a Bundle's bytes. Out: its entries in order, each a slice of the same bytes.
//! Never here: a resource dropped in silence. What is no change of a resource says so in words.

use super::json::Unreadable;
use super::peek::{check_text, id_at, kind_at, once};
use super::reference::{Reference, Target, target};
use super::scan::Scan;
use crate::time::Instant;
use std::borrow::Cow;

pub struct Bundle<'a> {
    pub kind: BundleKind,
    pub entries: Vec<Entry<'a>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BundleKind {
    Transaction,
    Batch,
    Collection,
    History,
    Searchset,
    /// R5's; R4 and R4B send `history`.
    SubscriptionNotification,
    /// Document, message, responses, and what a later FHIR may add: every resource in it is a put.
    Other,
}

pub struct Entry<'a> {
    /// From 0, in the order of the Bundle.
    pub index: usize,
    pub change: Change<'a>,
    pub full_url: Option<Cow<'a, str>>,
    /// `response.lastModified`.
    pub last_modified: Option<Instant>,
    /// From `response.etag`: of a delete the version that it made.
    pub version_id: Option<Cow<'a, str>>,
    /// `request.ifNoneExist`: what others in the Bundle may refer to it by.
    pub if_none_exist: Option<Cow<'a, str>>,
}

pub enum Change<'a> {
    /// `id` is the resource's own, else that of a PUT's url or of the response's location, else the uuid of `fullUrl`.
    Put {
        kind: Cow<'a, str>,
        id: Option<Cow<'a, str>>,
        bytes: &'a [u8],
    },
    Delete {
        kind: String,
        id: String,
    },
    /// No change of a resource, and why.
    Skip(&'static str),
    /// A change that could not be read: for quarantine. The entries around it are not harmed.
    Unreadable(Unreadable),
}

/// Reads a Bundle. Memory is one [`Entry`] for each, whatever they hold.
///
/// # Errors
/// Where the Bundle's own frame is no JSON, is cut off, or has no `type`; then nothing of it is to be used.
pub fn read(bytes: &[u8]) -> Result<Bundle<'_>, Unreadable> {
    check_text(bytes)?;
    let (mut type_name, mut resource_type, mut parts) = (None, None, None);
    let mut scan = Scan::new(bytes);
    scan.enter(b'{')?;
    while let Some(key) = scan.key()? {
        match key {
            b"resourceType" => {
                scan.ahead()?;
                once(&mut resource_type, kind_at(bytes, Some(scan.at()))?, "resourceType")?;
                scan.skip()?;
            }
            b"type" => {
                let text = scan.text()?.ok_or(wrong("Bundle.type", "is not a string"))?;
                once(&mut type_name, text, "type")?;
            }
            b"entry" => {
                if scan.ahead()? != b'[' {
                    return Err(wrong("Bundle.entry", "is not a list"));
                }
                once(&mut parts, read_entries(&mut scan, bytes)?, "entry")?;
            }
            _ => {
                scan.skip()?;
            }
        }
    }
    scan.finish()?;
    if resource_type.as_deref() != Some("Bundle") {
        return Err(wrong("resourceType", "is not Bundle"));
    }
    let kind = match type_name.as_deref() {
        None => return Err(wrong("Bundle.type", "is missing")),
        Some("transaction") => BundleKind::Transaction,
        Some("batch") => BundleKind::Batch,
        Some("collection") => BundleKind::Collection,
        Some("history") => BundleKind::History,
        Some("searchset") => BundleKind::Searchset,
        Some("subscription-notification") => BundleKind::SubscriptionNotification,
        Some(_) => BundleKind::Other,
    };
    // The type may stand after the entries: only now can they be understood.
    let entries = parts.unwrap_or_default().into_iter().enumerate().map(|(index, part)| entry(kind, index, part)).collect();
    Ok(Bundle { kind, entries })
}

/// An entry as it stands.
#[derive(Default)]
struct Part<'a> {
    full_url: Option<Cow<'a, str>>,
    resource: Option<Resource<'a>>,
    request: Request<'a>,
    responded: bool,
    etag: Option<Cow<'a, str>>,
    location: Option<Cow<'a, str>>,
    last_modified: Option<Instant>,
    search_mode: Option<Cow<'a, str>>,
    /// The first thing wrong with it that leaves the Bundle's frame whole.
    wrong: Option<Unreadable>,
}

#[derive(Default)]
struct Request<'a> {
    method: Option<Cow<'a, str>>,
    url: Option<Cow<'a, str>>,
    if_none_exist: Option<Cow<'a, str>>,
}

struct Resource<'a> {
    kind: Cow<'a, str>,
    id: Option<Cow<'a, str>>,
    bytes: &'a [u8],
}

fn read_entries<'a>(scan: &mut Scan<'a>, bytes: &'a [u8]) -> Result<Vec<Part<'a>>, Unreadable> {
    let mut parts = Vec::new();
    scan.enter(b'[')?;
    while scan.item()? {
        let mut part = Part::default();
        if scan.ahead()? == b'{' {
            read_entry(scan, bytes, &mut part)?;
        } else {
            scan.skip()?;
            part.wrong = Some(wrong("Bundle.entry", "is not an object"));
        }
        parts.push(part);
    }
    Ok(parts)
}

/// An error is one of the frame. What is wrong inside a member is noted in `part`, and the frame goes on after it.
fn read_entry<'a>(scan: &mut Scan<'a>, bytes: &'a [u8], part: &mut Part<'a>) -> Result<(), Unreadable> {
    let mut seen = [None; 5];
    scan.enter(b'{')?;
    while let Some(key) = scan.key()? {
        scan.ahead()?;
        let start = scan.at();
        let value = scan.skip()?;
        let inside = &mut Scan::from(bytes, start);
        let read = match key {
            b"fullUrl" => once(&mut seen[0], (), "fullUrl").and_then(|()| string(inside, "fullUrl", &mut part.full_url)),
            b"resource" => once(&mut seen[1], (), "resource").and_then(|()| {
                part.resource = Some(head(inside, bytes, value)?);
                Ok(())
            }),
            b"request" => once(&mut seen[2], (), "request").and_then(|()| read_request(inside, &mut part.request)),
            b"response" => once(&mut seen[3], (), "response").and_then(|()| read_response(inside, part)),
            b"search" => once(&mut seen[4], (), "search").and_then(|()| read_search(inside, part)),
            _ => Ok(()),
        };
        if let Err(e) = read {
            part.wrong.get_or_insert(e);
        }
    }
    Ok(())
}

fn wrong(path: &'static str, why: &'static str) -> Unreadable {
    Unreadable::Element { path, why }
}

fn string<'a>(scan: &mut Scan<'a>, key: &'static str, slot: &mut Option<Cow<'a, str>>) -> Result<(), Unreadable> {
    let text = scan.text()?.ok_or(wrong(key, "is not a string"))?;
    once(slot, text, key)
}

/// Type and id, which most often stand first: what comes after them is left to [`super::peek()`], which also finds duplicates.
fn head<'a>(scan: &mut Scan<'a>, bytes: &'a [u8], value: &'a [u8]) -> Result<Resource<'a>, Unreadable> {
    if scan.ahead()? != b'{' {
        return Err(wrong("Bundle.entry.resource", "is not an object"));
    }
    let (mut kind, mut id) = (None, None);
    scan.enter(b'{')?;
    while let Some(key) = scan.key()? {
        scan.ahead()?;
        match key {
            b"resourceType" => kind = Some(scan.at()),
            b"id" => id = Some(scan.at()),
            _ => {}
        }
        if kind.is_some() && id.is_some() {
            break;
        }
        scan.skip()?;
    }
    // An id that is none is told by whoever reads the resource: a Consent that has one closes a gate all the same.
    let id = id.and_then(|at| id_at(bytes, at).ok());
    Ok(Resource { kind: kind_at(bytes, kind)?, id, bytes: value })
}

fn read_request<'a>(scan: &mut Scan<'a>, request: &mut Request<'a>) -> Result<(), Unreadable> {
    scan.enter(b'{')?;
    while let Some(key) = scan.key()? {
        match key {
            b"method" => string(scan, "method", &mut request.method)?,
            b"url" => string(scan, "url", &mut request.url)?,
            b"ifNoneExist" => string(scan, "ifNoneExist", &mut request.if_none_exist)?,
            _ => {
                scan.skip()?;
            }
        }
    }
    Ok(())
}

fn read_response<'a>(scan: &mut Scan<'a>, part: &mut Part<'a>) -> Result<(), Unreadable> {
    part.responded = true;
    scan.enter(b'{')?;
    while let Some(key) = scan.key()? {
        match key {
            b"location" => string(scan, "location", &mut part.location)?,
            b"etag" => string(scan, "etag", &mut part.etag)?,
            b"lastModified" => {
                let not = wrong("Bundle.entry.response.lastModified", "is not an instant");
                let text = scan.text()?.ok_or(not.clone())?;
                once(&mut part.last_modified, Instant::parse(&text).map_err(|_| not)?, "lastModified")?;
            }
            _ => {
                scan.skip()?;
            }
        }
    }
    Ok(())
}

fn read_search<'a>(scan: &mut Scan<'a>, part: &mut Part<'a>) -> Result<(), Unreadable> {
    scan.enter(b'{')?;
    while let Some(key) = scan.key()? {
        match key {
            b"mode" => string(scan, "mode", &mut part.search_mode)?,
            _ => {
                scan.skip()?;
            }
        }
    }
    Ok(())
}

fn entry<'a>(bundle: BundleKind, index: usize, mut part: Part<'a>) -> Entry<'a> {
    let change = change(bundle, index, &mut part).unwrap_or_else(Change::Unreadable);
    Entry {
        index,
        change,
        full_url: part.full_url,
        last_modified: part.last_modified,
        version_id: part.etag.map(version_of_etag),
        if_none_exist: part.request.if_none_exist,
    }
}

/// `W/"3"` is version 3 (RFC 9110, 8.8.3).
fn version_of_etag(etag: Cow<'_, str>) -> Cow<'_, str> {
    let inner = etag.trim_start_matches("W/").trim_matches('"').len();
    if inner == etag.len() { etag } else { Cow::Owned(etag.trim_start_matches("W/").trim_matches('"').to_owned()) }
}

fn change<'a>(bundle: BundleKind, index: usize, part: &mut Part<'a>) -> Result<Change<'a>, Unreadable> {
    if let Some(e) = part.wrong.take() {
        return Err(e);
    }
    let tells = matches!(bundle, BundleKind::History | BundleKind::SubscriptionNotification);
    if let Some(resource) = &part.resource {
        if tells && index == 0 && matches!(&*resource.kind, "Parameters" | "SubscriptionStatus") {
            return Ok(Change::Skip("the subscription's own status"));
        }
        if resource.kind == "OperationOutcome" || part.search_mode.as_deref() == Some("outcome") {
            return Ok(Change::Skip("an outcome, not a resource of a patient"));
        }
    }
    let url = part.request.url.as_deref().unwrap_or("");
    match part.request.method.as_deref() {
        Some("DELETE") => delete(url, part.full_url.as_deref()),
        Some("PATCH") => Err(wrong("Bundle.entry.request.method", "is PATCH; send the whole resource with PUT")),
        Some("GET" | "HEAD") if !tells => Ok(Change::Skip("a read")),
        Some("GET" | "HEAD" | "PUT" | "POST") | None => match part.resource.take() {
            Some(resource) => put(resource, part),
            None if tells => Ok(Change::Skip("id-only: the notification names the resource and does not hold it")),
            None if part.responded && part.request.method.is_none() => Ok(Change::Skip("a response without a resource")),
            None => Err(wrong("Bundle.entry", "has no resource")),
        },
        Some(_) => Err(wrong("Bundle.entry.request.method", "is not a method of FHIR")),
    }
}

fn delete<'a>(url: &str, full_url: Option<&str>) -> Result<Change<'a>, Unreadable> {
    for text in [Some(url), full_url].into_iter().flatten() {
        match target(text) {
            Target::Resource(Reference { kind, id }) => return Ok(Change::Delete { kind: kind.to_owned(), id: id.to_owned() }),
            Target::Conditional { .. } => {
                return Err(wrong("Bundle.entry.request.url", "deletes by a condition; send each delete with its id"));
            }
            Target::Uuid(_) | Target::Contained(_) | Target::Logical | Target::Unclear => {}
        }
    }
    Err(wrong("Bundle.entry.request.url", "does not say what is deleted; write it as Type/id"))
}

fn put<'a>(resource: Resource<'a>, part: &Part<'a>) -> Result<Change<'a>, Unreadable> {
    let Resource { kind, id, bytes } = resource;
    let named = |text: &str| match target(text) {
        Target::Resource(to) if to.kind == kind => Some(to.id.to_owned()),
        _ => None,
    };
    let puts = part.request.method.as_deref() == Some("PUT");
    let asked = part.request.url.as_deref().filter(|_| puts).and_then(named);
    if let (Some(id), Some(asked)) = (&id, &asked)
        && id != asked
    {
        return Err(wrong("Bundle.entry.request.url", "names another id than the resource in it"));
    }
    let given = || asked.or_else(|| part.location.as_deref().and_then(named)).or_else(|| id_of_full_url(part.full_url.as_deref()?, &kind));
    let id = id.or_else(|| given().map(Cow::Owned));
    Ok(Change::Put { kind, id, bytes })
}

fn id_of_full_url(full_url: &str, kind: &str) -> Option<String> {
    match target(full_url) {
        Target::Uuid(text) => text.rsplit(':').next().map(str::to_owned),
        Target::Resource(to) if to.kind == kind => Some(to.id.to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::{BundleLinks, peek};

    /// Each entry as `put Type/id`, `delete Type/id`, `skip …` or `unreadable …`.
    fn told(kind: &str, entries: &[&str]) -> Vec<String> {
        let text = format!(r#"{{"entry":[{}],"type":"{kind}","resourceType":"Bundle"}}"#, entries.join(","));
        let bundle = read(text.as_bytes()).unwrap_or_else(|e| panic!("{e}"));
        let told = bundle.entries.iter().map(|entry| match &entry.change {
            Change::Put { kind, id, .. } => format!("put {kind}/{}", id.as_deref().unwrap_or("?")),
            Change::Delete { kind, id } => format!("delete {kind}/{id}"),
            Change::Skip(why) => format!("skip {why}"),
            Change::Unreadable(e) => format!("unreadable {e}"),
        });
        told.collect()
    }

    #[test]
    fn each_kind_of_bundle_tells_its_changes() {
        let bare = r#"{"resource":{"resourceType":"Patient","id":"1"}}"#;
        for kind in ["collection", "searchset", "document", "message", "batch-response", "history", "later-kind"] {
            assert_eq!(told(kind, &[bare]), ["put Patient/1"], "{kind}");
        }
        let outcome = r#"{"resource":{"resourceType":"OperationOutcome"},"search":{"mode":"outcome"}}"#;
        assert_eq!(told("searchset", &[outcome]), ["skip an outcome, not a resource of a patient"]);
        let transaction = [
            r#"{"fullUrl":"urn:uuid:a1","resource":{"resourceType":"Patient"},"request":{"method":"POST","url":"Patient"}}"#,
            r#"{"resource":{"resourceType":"Patient"},"request":{"method":"PUT","url":"Patient/2"}}"#,
            r#"{"request":{"method":"DELETE","url":"Observation/3"}}"#,
            r#"{"request":{"method":"DELETE","url":"Observation?status=final"}}"#,
            r#"{"request":{"method":"PATCH","url":"Patient/2"},"resource":{"resourceType":"Parameters"}}"#,
            r#"{"request":{"method":"GET","url":"Patient/2"}}"#,
            r#"{"request":{"method":"POST","url":"Patient"}}"#,
        ];
        let expected = [
            "put Patient/a1",
            "put Patient/2",
            "delete Observation/3",
            "unreadable `Bundle.entry.request.url` deletes by a condition; send each delete with its id",
            "unreadable `Bundle.entry.request.method` is PATCH; send the whole resource with PUT",
            "skip a read",
            "unreadable `Bundle.entry` has no resource",
        ];
        assert_eq!(told("transaction", &transaction), expected);
        assert_eq!(told("batch", &transaction), expected);
    }

    #[test]
    fn a_subscription_tells_its_own_status_first() {
        for (kind, status) in
            [("history", "Parameters"), ("history", "SubscriptionStatus"), ("subscription-notification", "SubscriptionStatus")]
        {
            let status = format!(r#"{{"resource":{{"resourceType":"{status}"}},"request":{{"method":"GET","url":"s"}}}}"#);
            let id_only = r#"{"fullUrl":"https://h/Encounter/1","request":{"method":"PUT","url":"Encounter/1"}}"#;
            let gone = r#"{"fullUrl":"https://h/Encounter/2","request":{"method":"DELETE","url":"Encounter"}}"#;
            let told = told(kind, &[&status, id_only, gone]);
            assert_eq!(told[0], "skip the subscription's own status");
            assert!(told[1].starts_with("skip id-only"), "{}", told[1]);
            assert_eq!(told[2], "delete Encounter/2");
        }
    }

    #[test]
    fn one_broken_entry_harms_no_other() {
        let good = r#"{"resource":{"resourceType":"Patient","id":"1"}}"#;
        for (broken, why) in [
            ("7", "`Bundle.entry` is not an object"),
            (r#"{"resource":[]}"#, "`Bundle.entry.resource` is not an object"),
            (r#"{"resource":{"id":"1"}}"#, "`resourceType` is missing; it is no FHIR resource"),
            (
                r#"{"resource":{"resourceType":"Patient"},"resource":{"resourceType":"Patient"}}"#,
                "the key `resource` stands twice in one object",
            ),
            (r#"{"request":{"method":7}}"#, "`method` is not a string"),
            (r#"{"request":{"method":"MAKE"}}"#, "`Bundle.entry.request.method` is not a method of FHIR"),
            (
                r#"{"resource":{"resourceType":"Patient","id":"1"},"request":{"method":"PUT","url":"Patient/2"}}"#,
                "`Bundle.entry.request.url` names another id than the resource in it",
            ),
            (
                r#"{"request":{"method":"DELETE","url":"Patient/2"},"response":{"lastModified":"today"}}"#,
                "`Bundle.entry.response.lastModified` is not an instant",
            ),
        ] {
            assert_eq!(told("transaction", &[good, broken, good]), ["put Patient/1", &format!("unreadable {why}"), "put Patient/1"]);
        }
    }

    #[test]
    fn a_frame_that_is_broken_gives_nothing() {
        for text in [
            "",
            r#"{"resourceType":"Bundle"}"#,
            r#"{"resourceType":"Patient","type":"batch"}"#,
            r#"{"resourceType":"Bundle","type":"batch","entry":{}}"#,
            r#"{"resourceType":"Bundle","type":"batch","type":"history"}"#,
            r#"{"resourceType":"Bundle","type":"batch","entry":[{"resource":{}}"#,
        ] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
        assert!(read(br#"{"resourceType":"Bundle","type":"batch"}"#).is_ok_and(|bundle| bundle.entries.is_empty()));
    }

    #[test]
    fn a_delete_has_its_instant_and_version() {
        let text = br#"{"resourceType":"Bundle","type":"history","entry":[{"request":{"method":"DELETE","url":"Patient/1"},
            "response":{"status":"204","etag":"W/\"4\"","lastModified":"2026-03-01T10:00:00Z"}}]}"#;
        let bundle = read(text).expect("a Bundle");
        let entry = &bundle.entries[0];
        assert_eq!(entry.version_id.as_deref(), Some("4"));
        assert_eq!(entry.last_modified.map(|i| i.to_string()).as_deref(), Some("2026-03-01T10:00:00Z"));
    }

    #[test]
    fn references_resolve_inside_the_bundle() {
        let text = br#"{"resourceType":"Bundle","type":"transaction","entry":[
            {"fullUrl":"urn:uuid:a","resource":{"resourceType":"Patient","id":"1","identifier":[{"system":"s","value":"v"}]},"request":{"method":"POST","url":"Patient"}},
            {"fullUrl":"urn:uuid:b","resource":{"resourceType":"Patient","id":"2","identifier":[{"system":"s","value":"twin"}]},"request":{"method":"POST","url":"Patient"}},
            {"fullUrl":"urn:uuid:c","resource":{"resourceType":"Patient","id":"3","identifier":[{"system":"s","value":"twin"}]},"request":{"method":"POST","url":"Patient"}},
            {"fullUrl":"urn:uuid:d","resource":{"resourceType":"Practitioner"},"request":{"method":"POST","url":"Practitioner","ifNoneExist":"name=x"}},
            {"resource":{"resourceType":"Appointment","id":"9","participant":[{"actor":{"reference":"Patient?identifier=s%7Cv"}},{"actor":{"reference":"urn:uuid:d"}}]}},
            {"resource":{"resourceType":"Appointment","id":"8","participant":[{"actor":{"reference":"urn:uuid:elsewhere"}}]}}]}"#;
        let bundle = read(text).expect("a Bundle");
        let links = BundleLinks::new(&bundle, text);
        for (reference, expected) in [
            ("urn:uuid:a", Some(("Patient", "1"))),
            ("urn:uuid:d", Some(("Practitioner", "d"))),
            ("Patient?identifier=s|v", Some(("Patient", "1"))),
            ("Patient?identifier=v", Some(("Patient", "1"))),
            ("Practitioner?identifier=s|v", None),
            ("Patient?identifier=s|twin", None),
            ("Practitioner?name=x", Some(("Practitioner", "d"))),
            ("https://h/Patient/7", Some(("Patient", "7"))),
            ("urn:uuid:z", None),
            ("#a", None),
        ] {
            assert_eq!(links.resolve(reference).map(|to| (to.kind, to.id)), expected, "{reference}");
        }
        let patients = |index: usize| {
            let Change::Put { bytes, .. } = bundle.entries[index].change else { panic!("no put") };
            let peek = peek(bytes).expect("a resource");
            let (ids, unclear) = links.patients(&peek);
            (ids.iter().map(std::string::ToString::to_string).collect::<Vec<_>>(), unclear)
        };
        assert_eq!(patients(4), (vec!["1".to_owned()], false));
        assert_eq!(patients(5), (vec![], true));
    }

    #[test]
    fn a_bundle_of_100_000_entries_is_bounded_by_its_bytes() {
        let entry = r#"{"fullUrl":"urn:uuid:a","resource":{"resourceType":"Observation","id":"1","subject":{"reference":"Patient/1"}}}"#;
        let text = format!(r#"{{"resourceType":"Bundle","type":"collection","entry":[{}{entry}]}}"#, format!("{entry},").repeat(99_999));
        let bundle = read(text.as_bytes()).expect("a Bundle");
        assert_eq!(bundle.entries.len(), 100_000);
        let borrowed = |entry: &Entry| matches!(&entry.change, Change::Put { kind: Cow::Borrowed(_), id: Some(Cow::Borrowed(_)), .. });
        assert!(bundle.entries.iter().all(borrowed), "nothing is copied out of the bytes");
        assert!(bundle.entries.capacity() * size_of::<Entry>() <= 4 * text.len(), "{}", size_of::<Entry>());
    }
}

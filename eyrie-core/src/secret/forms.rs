//! The forms in which a value turns up in text: as it is, and as programs write it.

use std::collections::BTreeSet;

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};

use crate::secret::MIN_SECRET;

/// The shortest line of a value of several lines that is looked for alone, in bytes.
const MIN_LINE: usize = 12;
/// Longer forms are looked for in pieces of this length: together they cover the whole, and a piece that stands alone is found, too.
const PIECE: usize = 512;

/// Everything to look for.
pub(super) fn forms_of(value: &str) -> BTreeSet<Vec<u8>> {
    let mut forms = BTreeSet::new();
    written(value, &mut forms);
    // Logs and reports go by lines.
    if value.contains('\n') {
        for line in value.lines().map(str::trim).filter(|line| line.len() >= MIN_LINE) {
            written(line, &mut forms);
        }
    }
    forms.into_iter().flat_map(|form| pieces(&form)).collect()
}

fn written(value: &str, forms: &mut BTreeSet<Vec<u8>>) {
    let bytes = value.as_bytes();
    let mut add = |form: String| {
        if form.len() >= MIN_SECRET {
            forms.insert(form.into_bytes());
        }
    };
    add(value.to_owned());
    add(json_escaped(value, false));
    add(json_escaped(value, true));
    for upper in [true, false] {
        add(percent_encoded(value, upper, "%20"));
        add(percent_encoded(value, upper, "+"));
    }
    add(HEXLOWER.encode(bytes));
    add(HEXUPPER.encode(bytes));
    for encoding in [BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD] {
        add(encoding.encode(bytes));
    }
    // Within longer encoded text the value begins at any of three places of a group of four characters; what its neighbours have
    // part in is left out.
    for before in 0..3_usize {
        let mut shifted = vec![0_u8; before];
        shifted.extend(bytes);
        let whole = shifted.len() / 3 * 4;
        let skipped = [0, 2, 3][before];
        for encoding in [BASE64_NOPAD, BASE64URL_NOPAD] {
            let encoded = encoding.encode(&shifted);
            let tail = [0, 1, 2][shifted.len() % 3];
            add(encoded.get(skipped..whole + tail).unwrap_or_default().to_owned());
        }
    }
}

/// As JSON writes it within quotes; `ascii`: with everything else escaped, too.
fn json_escaped(value: &str, ascii: bool) -> String {
    let quoted = serde_json::Value::from(value).to_string();
    let inner = quoted.get(1..quoted.len() - 1).unwrap_or_default();
    if !ascii {
        return inner.to_owned();
    }
    let mut escaped = String::with_capacity(inner.len());
    for c in inner.chars() {
        if c.is_ascii() {
            escaped.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                escaped.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    escaped
}

fn percent_encoded(value: &str, upper: bool, space: &str) -> String {
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => encoded.push(char::from(byte)),
            b' ' => encoded.push_str(space),
            _ if upper => encoded.push_str(&format!("%{byte:02X}")),
            _ => encoded.push_str(&format!("%{byte:02x}")),
        }
    }
    encoded
}

/// The form, or pieces of equal length that cover it, the last one over the one before.
fn pieces(form: &[u8]) -> Vec<Vec<u8>> {
    if form.len() <= PIECE {
        return vec![form.to_vec()];
    }
    let mut pieces: Vec<_> = form.chunks_exact(PIECE).map(<[u8]>::to_vec).collect();
    pieces.push(form[form.len() - PIECE..].to_vec());
    pieces
}

//! Numbers such as `1,500` in a table mean 1.5 or 1500: the other numbers of the table decide which.

use capcut_draft::Unit;
use std::collections::BTreeMap;

use serde_json::Value;

use super::table::InputTable;
use crate::args::property;
use crate::tools::ROUTED;

/// What a comma in a number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comma {
    DecimalPoint,
    /// It separates thousands.
    Grouping,
}

/// How a template uses a column.
#[derive(Clone, Copy, Default)]
struct ColumnUse {
    as_number: bool,
    as_pixels: bool,
    /// As text, which stays as it is written.
    as_text: bool,
}

/// Rewrites ambiguous numbers in the columns that the template uses only as numbers, and returns a note for each such
/// column. What remains ambiguous is refused later, in the row that has it.
pub(crate) fn settle(table: &mut InputTable, template: &Value) -> Vec<String> {
    let mut uses = BTreeMap::new();
    columns_of(template, None, &mut uses);
    uses.retain(|_, used| used.as_number && !used.as_text);
    let whole_table = uses.keys().flat_map(|column| texts(table, column));
    let of_table = agreed(whole_table.filter_map(comma_of));
    let mut notes = Vec::new();
    for (column, used) in &uses {
        let Some(example) = texts(table, column).find(|text| is_ambiguous(text)) else {
            continue;
        };
        let example = example.to_owned();
        let of_column = agreed(texts(table, column).filter_map(comma_of));
        let (comma, why) = match (of_column, of_table) {
            (Agreed::One(comma), _) => (comma, "like the other numbers of the column"),
            (Agreed::Nothing, _) if used.as_pixels => (Comma::Grouping, "as a number of pixels"),
            (Agreed::Nothing, Agreed::One(comma)) => (comma, "like the other numbers of the table"),
            (Agreed::Nothing, Agreed::Nothing) if table.has_semicolons => (
                Comma::DecimalPoint,
                "because the values are separated by semicolons",
            ),
            _ => continue,
        };
        let rows = table.rows.iter_mut();
        for values in rows.filter_map(|row| row.values.as_mut().ok()) {
            if let Some(Value::String(text)) = values.get_mut(column)
                && is_ambiguous(text)
            {
                *text = read(text, comma);
            }
        }
        let meaning = read(&example, comma).trim_end_matches('0').to_owned();
        let meaning = match comma {
            Comma::DecimalPoint => meaning.trim_end_matches('.').to_owned(),
            Comma::Grouping => read(&example, comma),
        };
        notes.push(format!(
            "column {column:?}: {example:?} was read as {meaning}, {why}"
        ));
    }
    notes
}

fn texts<'t>(table: &'t InputTable, column: &str) -> impl Iterator<Item = &'t str> {
    let rows = table.rows.iter();
    rows.filter_map(move |row| row.values.as_ref().ok()?.get(column)?.as_str())
}

fn read(text: &str, comma: Comma) -> String {
    match comma {
        Comma::DecimalPoint => text.trim().replace(',', "."),
        Comma::Grouping => text.trim().replace(',', ""),
    }
}

/// What several numbers say about the comma.
#[derive(Clone, Copy)]
enum Agreed {
    Nothing,
    One(Comma),
    Contradiction,
}

fn agreed(commas: impl Iterator<Item = Comma>) -> Agreed {
    commas.fold(Agreed::Nothing, |agreed, comma| match agreed {
        Agreed::Nothing => Agreed::One(comma),
        Agreed::One(known) if known == comma => agreed,
        _ => Agreed::Contradiction,
    })
}

fn without_sign(text: &str) -> &str {
    text.trim().trim_start_matches(['-', '+'])
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether parts between separators are groups of thousands: `1`, `500`, `000`.
fn are_groups<'t>(mut parts: impl Iterator<Item = &'t str>) -> bool {
    let first = parts.next().unwrap_or_default();
    is_digits(first)
        && first.len() <= 3
        && !first.starts_with('0')
        && parts.all(|part| is_digits(part) && part.len() == 3)
}

/// `1,500`: both readings are possible.
fn is_ambiguous(text: &str) -> bool {
    let text = without_sign(text);
    text.matches(',').count() == 1 && are_groups(text.split(','))
}

/// What a number shows about the comma: `0,5` and `1.234,5` have a decimal comma, `0.5` and `1,234.5` have not.
fn comma_of(text: &str) -> Option<Comma> {
    let text = without_sign(text);
    if let Some((whole, part)) = text.rsplit_once('.')
        && is_digits(part)
        && (is_digits(whole) || (whole.contains(',') && are_groups(whole.split(','))))
    {
        return Some(Comma::Grouping);
    }
    if text.matches(',').count() > 1 {
        return are_groups(text.split(',')).then_some(Comma::Grouping);
    }
    let (whole, part) = text.split_once(',')?;
    let is_decimal = is_digits(part)
        && (is_digits(whole) || (whole.contains('.') && are_groups(whole.split('.'))));
    (is_decimal && !is_ambiguous(text)).then_some(Comma::DecimalPoint)
}

/// The columns that the texts of a template use, and for which arguments.
fn columns_of(value: &Value, key: Option<&str>, uses: &mut BTreeMap<String, ColumnUse>) {
    match value {
        Value::String(text) => {
            let unit = key.and_then(number_of);
            for piece in text.split("${").skip(1) {
                let Some((column, _)) = piece.split_once('}') else {
                    continue;
                };
                let used = uses.entry(column.to_owned()).or_default();
                used.as_number |= unit.is_some();
                used.as_pixels |= unit == Some(Unit::Pixels);
                used.as_text |= unit.is_none();
            }
        }
        Value::Array(list) => {
            for item in list {
                columns_of(item, key, uses);
            }
        }
        Value::Object(members) => {
            for (key, value) in members {
                columns_of(value, Some(key), uses);
            }
        }
        _ => {}
    }
}

/// The unit of an argument that is a number.
fn number_of(argument: &str) -> Option<Unit> {
    if let Some(property) = property::of(argument) {
        let is_text = matches!(property.unit, Unit::Color | Unit::NumericId | Unit::Word);
        return (!is_text).then_some(property.unit);
    }
    let is_number = ROUTED.iter().any(|spec| {
        let properties = spec.input().get("properties");
        let schema = properties.and_then(|properties| properties.get(spec.own_name(argument)));
        schema.is_some_and(|schema| schema["type"] == "number" || schema["type"] == "integer")
    });
    is_number.then_some(Unit::Adjustment)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::table;
    use super::*;

    /// The values of column `n` after the table has decided, and the notes.
    fn settled(csv: &str, argument: &str) -> (Vec<String>, Vec<String>) {
        let mut table = table::csv(csv).unwrap();
        let template = json!({ "texts": [{ "text": "${t}", argument: "${n}", "end": "${o}" }] });
        let notes = settle(&mut table, &template);
        let values = texts(&table, "n").map(str::to_owned).collect();
        (values, notes)
    }

    #[test]
    fn the_other_numbers_of_the_table_decide_what_a_comma_is() {
        for (csv, argument, expected, why) in [
            ("n;t\n1,500;a\n0,25;b", "start", "1.500", "of the column"),
            ("n;t\n1,500;a\n2.25;b", "start", "1500", "of the column"),
            ("n;t;o\n1,500;a;2,5", "start", "1.500", "of the table"),
            ("n;t;o\n1,500;a;2.5", "start", "1500", "of the table"),
            ("n;t\n1,500;a", "start", "1.500", "by semicolons"),
            ("n;t\n-1,500;a", "transform_x", "-1.500", "by semicolons"),
            ("n;t\n1,920;a", "width", "1920", "pixels"),
            (
                "n,t\n\"1,500\",a\n\"1,234.5\",b",
                "start",
                "1500",
                "of the column",
            ),
            (
                "n\tt\n1,500\ta\n1.234,5\tb",
                "start",
                "1.500",
                "of the column",
            ),
        ] {
            let (values, notes) = settled(csv, argument);
            assert_eq!(values[0], expected, "{csv}");
            assert_eq!(notes.len(), 1, "{csv}: {notes:?}");
            assert!(notes[0].contains(why), "{csv}: {notes:?}");
        }
        let (_, notes) = settled("n;t\n1,500;a", "start");
        assert_eq!(
            notes,
            [
                "column \"n\": \"1,500\" was read as 1.5, because the values are separated by semicolons"
            ]
        );
    }

    #[test]
    fn what_contradicts_itself_or_is_text_stays_as_it_is() {
        for (csv, argument) in [
            ("n;t\n1,500;a\n0,25;b\n0.25;c", "start"),
            ("n,t\n\"1,500\",a", "start"),
            ("n;t\n1,500;a", "font"),
            ("n;t\n0,500;a\n1500,250;b", "start"),
        ] {
            let (values, notes) = settled(csv, argument);
            assert!(values[0].contains(','), "{csv}: {values:?}");
            assert_eq!(notes, [""; 0], "{csv}");
        }
    }
}

//! The rows of a batch: a CSV table as written by spreadsheets, or one JSON object per line.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::args::duplicates::{Noticed, given_twice};
use crate::error::{Error, Result};

/// The values of a row, by column name.
pub(crate) type RowValues = BTreeMap<String, Value>;

/// A row, with its line in the file, from 1.
#[derive(Debug)]
pub(crate) struct TableRow {
    pub line: usize,
    /// The values, or the problem with the row.
    pub values: Result<RowValues>,
}

/// The rows of a file.
#[derive(Debug)]
pub(crate) struct InputTable {
    pub rows: Vec<TableRow>,
    /// The values are separated by semicolons, as spreadsheets do where the comma is the decimal point.
    pub has_semicolons: bool,
}

/// The separators of spreadsheets: comma, semicolon (where the comma is the decimal point), tab, pipe.
const SEPARATORS: [u8; 4] = *b",;\t|";

/// A separator that does not occur: with one column, each whole line is a value.
const NEVER: u8 = 0x1f;

/// Reads a CSV text whose first row has the column names. Rows without values are skipped.
pub(crate) fn csv(text: &str) -> Result<InputTable> {
    // Excel's notation for the separator: a first line `sep=;`.
    let named = text
        .get(..5)
        .filter(|start| start.to_ascii_lowercase().starts_with("sep="))
        .map(|start| start.as_bytes()[4]);
    let skipped = match named {
        Some(_) => text.find('\n').map_or(text.len(), |end| end + 1),
        None => 0,
    };
    let table = &text[skipped..];
    let separator = named.unwrap_or_else(|| separator(table));
    let mut reader = ::csv::ReaderBuilder::new()
        .delimiter(separator)
        .trim(::csv::Trim::All)
        .flexible(true)
        .from_reader(table.as_bytes());
    let unreadable = |e: ::csv::Error| Error::invalid("is not a readable table").source(e);
    let names = reader.headers().map_err(unreadable)?.clone();
    let mut columns: Vec<&str> = Vec::new();
    for name in names.iter().filter(|name| !name.is_empty()) {
        if columns.contains(&name) {
            return Err(
                Error::invalid(format!("two columns have the name {name:?}"))
                    .hint("each column needs its own name in the first row"),
            );
        }
        columns.push(name);
    }
    if columns.is_empty() {
        return Err(Error::invalid("has no column names")
            .hint("the first row of a table must contain the names of the placeholders"));
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(unreadable)?;
        if record.iter().all(str::is_empty) {
            continue;
        }
        let at = record
            .position()
            .map_or(0, |position| position.byte() as usize);
        rows.push(TableRow {
            line: line_of(text, skipped + at),
            values: values(&names, &record),
        });
    }
    Ok(InputTable {
        rows,
        has_semicolons: separator == b';',
    })
}

/// The line number of the first character at or after a byte position, ignoring line breaks.
fn line_of(text: &str, at: usize) -> usize {
    let rest = text[at..].trim_start_matches(['\r', '\n']);
    let before = &text[..text.len() - rest.len()];
    before.matches('\n').count() + 1
}

fn values(names: &::csv::StringRecord, record: &::csv::StringRecord) -> Result<RowValues> {
    let more = (names.len()..record.len()).any(|index| !record[index].is_empty());
    if more {
        return Err(Error::invalid(format!(
            "has {} values, but the first row has {} names",
            record.len(),
            names.len()
        ))
        .hint("put values that contain the separator in double quotes"));
    }
    Ok(names
        .iter()
        .zip(record)
        .filter(|(name, _)| !name.is_empty())
        .map(|(name, value)| (name.to_owned(), Value::from(value)))
        .collect())
}

/// The most frequent separator of the first row, outside quotes.
fn separator(table: &str) -> u8 {
    let mut counts = [0_usize; SEPARATORS.len()];
    let mut quoted = false;
    for byte in table.trim_start().bytes() {
        match byte {
            b'"' => quoted = !quoted,
            b'\r' | b'\n' if !quoted => break,
            byte if !quoted => {
                if let Some(index) = SEPARATORS.iter().position(|separator| *separator == byte) {
                    counts[index] += 1;
                }
            }
            _ => {}
        }
    }
    let most = counts.iter().max().copied().unwrap_or(0);
    if most == 0 {
        return NEVER;
    }
    // With equal counts, the first separator wins.
    let first = counts.iter().position(|count| *count == most).unwrap_or(0);
    SEPARATORS[first]
}

/// Reads one JSON object per line; blank lines are skipped.
pub(crate) fn json_lines(text: &str) -> Vec<(usize, Result<Value>)> {
    let lines = text.lines().enumerate();
    lines
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(index, line)| {
            let value = match serde_json::from_str(line) {
                Ok(Noticed {
                    twice: Some(key), ..
                }) => Err(given_twice(&key)),
                Ok(Noticed {
                    value: value @ Value::Object(_),
                    ..
                }) => Ok(value),
                Ok(_) => Err(Error::invalid("is not a JSON object")),
                Err(e) => Err(Error::invalid("is not JSON").source(e)),
            };
            (index + 1, value)
        })
        .collect()
}

/// Reads one row per JSON line.
pub(crate) fn json_rows(text: &str) -> InputTable {
    let lines = json_lines(text).into_iter();
    let rows = lines
        .map(|(line, value)| TableRow {
            line,
            values: value.map(|value| match value {
                Value::Object(members) => members.into_iter().collect(),
                _ => RowValues::new(),
            }),
        })
        .collect();
    InputTable {
        rows,
        has_semicolons: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<(usize, Vec<String>)> {
        let rows = csv(text).unwrap().rows;
        let shown = |row: TableRow| {
            let values = row.values.unwrap().into_iter();
            let values = values.map(|(name, value)| format!("{name}={}", value.as_str().unwrap()));
            (row.line, values.collect())
        };
        rows.into_iter().map(shown).collect()
    }

    #[test]
    fn the_separator_is_found_in_the_first_row() {
        for text in [
            "a,b\n1;x,2\n",
            "a;b\n\"1;x\";2\n",
            "a\tb\n1;x\t2\n",
            "a|b\n1;x|2\n",
            "sep=;\r\na;b\r\n\"1;x\";2\r\n",
            "\"a\",\"b\"\n\"1;x\",2\n",
            "\"a\";b\n\"1;x\";2",
        ] {
            let row = rows(text).pop().unwrap().1;
            assert_eq!(row, ["a=1;x", "b=2"], "{text:?}");
        }
        assert_eq!(rows("a\nx, y; z\n")[0].1, ["a=x, y; z"]);
    }

    #[test]
    fn blank_rows_are_skipped_and_line_numbers_are_kept() {
        let text = "a,b\n\n,\nx,1\n  ,  \n\"two\nlines\",2\n\r\n\r\nlast,3,,\n";
        let lines: Vec<usize> = rows(text).into_iter().map(|(line, _)| line).collect();
        assert_eq!(lines, [4, 6, 10]);
        let text = "sep=,\na\n\nx\n";
        assert_eq!(rows(text)[0].0, 4);
    }

    #[test]
    fn a_json_row_with_a_key_twice_fails_and_the_others_are_read() {
        let InputTable { rows, .. } = json_rows(
            "{\"a\": 1}\n{\"a\": 1, \"a\": 2}\n{\"b\": {\"c\": 1, \"c\": 1}}\n{\"a\": 3}\n",
        );
        let wrong: Vec<bool> = rows.iter().map(|row| row.values.is_err()).collect();
        assert_eq!(wrong, [false, true, true, false]);
        let error = rows[1].values.as_ref().unwrap_err().to_string();
        assert!(error.contains("`a` is given twice"), "{error}");
    }

    #[test]
    fn a_row_with_too_many_values_fails_and_the_others_are_read() {
        let found = csv("a,b\n1,2\n1,2,3\n4\n").unwrap().rows;
        let wrong: Vec<bool> = found.iter().map(|row| row.values.is_err()).collect();
        assert_eq!(wrong, [false, true, false]);
        assert!(csv("a,a\n1,2\n").is_err());
        assert!(csv("\n").is_err() && csv("").is_err());
    }
}

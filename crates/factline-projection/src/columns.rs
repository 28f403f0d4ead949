//! Rows in, one array of texts a column out, as PostgreSQL reads them: a text as it is, anything else as
//! JSON. No row becomes a map on the way: that was a tenth of what a projector does for an event.

use std::fmt::Display;

use serde::{
    Serialize, Serializer,
    ser::{Impossible, SerializeMap, SerializeStruct},
};
use serde_json::Value;

/// Columns that are being filled.
#[derive(Debug)]
pub(crate) struct Columns<'n> {
    names: &'n [String],
    texts: Vec<Vec<Option<String>>>,
    rows: usize,
}

/// A row's members are not the columns, or one of them cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Odd(String);

impl<'n> Columns<'n> {
    pub(crate) fn new(names: &'n [String], rows: usize) -> Self {
        let texts = names.iter().map(|_| Vec::with_capacity(rows)).collect();
        Self { names, texts, rows: 0 }
    }

    /// Adds a row whose members are exactly the columns. After an error the columns are of no use.
    pub(crate) fn push<Row: Serialize + ?Sized>(&mut self, row: &Row) -> Result<(), Odd> {
        self.rows += 1;
        row.serialize(Members { columns: self, next: 0, key: String::new() })?;
        let whole = self.texts.iter().all(|column| column.len() == self.rows);
        if whole { Ok(()) } else { Err(Odd("members are missing or come twice".to_owned())) }
    }

    /// In the order of the names.
    pub(crate) fn into_texts(self) -> Vec<Vec<Option<String>>> {
        self.texts
    }
}

/// A value as PostgreSQL reads it.
pub(crate) fn text(value: Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    }
}

/// One row on its way into the columns.
struct Members<'c, 'n> {
    columns: &'c mut Columns<'n>,
    /// Where the next member goes if the row has them in the table's order.
    next: usize,
    /// Of a map, the key whose value comes next.
    key: String,
}

impl Members<'_, '_> {
    fn put<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), Odd> {
        let names = self.columns.names;
        let expected =
            (names.get(self.next).map(String::as_str) == Some(name)).then_some(self.next);
        let found = expected.or_else(|| names.iter().position(|known| known == name));
        let at = found.ok_or_else(|| Odd(format!("{name} is no column")))?;
        let value = serde_json::to_value(value).map_err(|error| Odd(format!("{name}: {error}")))?;
        self.columns.texts[at].push(text(value));
        self.next = at + 1;
        Ok(())
    }
}

impl SerializeStruct for Members<'_, '_> {
    type Ok = ();
    type Error = Odd;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), Odd> {
        self.put(key, value)
    }

    fn end(self) -> Result<(), Odd> {
        Ok(())
    }
}

/// A struct with flattened members says that it is a map.
impl SerializeMap for Members<'_, '_> {
    type Ok = ();
    type Error = Odd;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Odd> {
        let key = serde_json::to_value(key).ok().and_then(text);
        self.key = key.ok_or_else(|| Odd("a member without a name".to_owned()))?;
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Odd> {
        let key = std::mem::take(&mut self.key);
        self.put(&key, value)
    }

    fn end(self) -> Result<(), Odd> {
        Ok(())
    }
}

macro_rules! no_rows {
    ($($method:ident($($of:ty),*);)*) => {
        $(fn $method(self, $(_: $of),*) -> Result<(), Odd> {
            Err(no_row())
        })*
    };
}

fn no_row() -> Odd {
    Odd("a row is no struct".to_owned())
}

impl Serializer for Members<'_, '_> {
    type Ok = ();
    type Error = Odd;
    type SerializeSeq = Impossible<(), Odd>;
    type SerializeTuple = Impossible<(), Odd>;
    type SerializeTupleStruct = Impossible<(), Odd>;
    type SerializeTupleVariant = Impossible<(), Odd>;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Impossible<(), Odd>;

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Odd> {
        Ok(self)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self, Odd> {
        Ok(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        inner: &T,
    ) -> Result<(), Odd> {
        inner.serialize(self)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, inner: &T) -> Result<(), Odd> {
        inner.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Odd> {
        Err(no_row())
    }

    no_rows! {
        serialize_bool(bool); serialize_i8(i8); serialize_i16(i16); serialize_i32(i32);
        serialize_i64(i64); serialize_u8(u8); serialize_u16(u16); serialize_u32(u32);
        serialize_u64(u64); serialize_f32(f32); serialize_f64(f64); serialize_char(char);
        serialize_str(&str); serialize_bytes(&[u8]); serialize_none(); serialize_unit();
        serialize_unit_struct(&'static str); serialize_unit_variant(&'static str, u32, &'static str);
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, Odd> {
        Err(no_row())
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Odd> {
        Err(no_row())
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, Odd> {
        Err(no_row())
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Odd> {
        Err(no_row())
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Odd> {
        Err(no_row())
    }
}

impl serde::ser::Error for Odd {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Parcel {
        grams: i64,
        to: Option<String>,
        marks: Vec<&'static str>,
    }

    #[derive(Serialize)]
    struct Flat {
        #[serde(flatten)]
        parcel: Parcel,
    }

    fn names() -> Vec<String> {
        ["grams", "marks", "to"].map(str::to_owned).into()
    }

    fn parcel(to: Option<&str>) -> Parcel {
        Parcel { grams: 7, to: to.map(str::to_owned), marks: vec!["c"] }
    }

    #[test]
    fn a_column_is_written_as_the_database_reads_it() {
        let names = names();
        let mut columns = Columns::new(&names, 2);
        columns.push(&parcel(Some("x\"y"))).unwrap();
        columns.push(&Flat { parcel: parcel(None) }).unwrap();
        let texts = columns.into_texts();
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(texts[0], [text("7"), text("7")]);
        assert_eq!(texts[1], [text(r#"["c"]"#), text(r#"["c"]"#)]);
        assert_eq!(texts[2], [text("x\"y"), None]);
    }

    #[test]
    fn d07_members_that_are_not_the_columns_are_refused() {
        let names = names();
        let refused = |names: &[String], row: &dyn Fn(&mut Columns<'_>) -> Result<(), Odd>| {
            row(&mut Columns::new(names, 1)).unwrap_err().to_string()
        };
        let all = |columns: &mut Columns<'_>| columns.push(&parcel(None));
        assert!(refused(&names[..2], &all).contains("to is no column"));
        let more: Vec<_> = names.iter().cloned().chain(["ounces".to_owned()]).collect();
        assert!(refused(&more, &all).contains("missing"));
        assert!(refused(&names, &|columns| columns.push("parcel")).contains("no struct"));
        assert!(refused(&names, &|columns| columns.push(&[1, 2])).contains("no struct"));
    }
}

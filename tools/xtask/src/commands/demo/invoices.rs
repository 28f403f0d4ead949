//! The importer's reading of a file of invoice lines: bytes flow in, what to ask of the system for
//! each line flows out, in the file's order. A line that says nothing usable is refused here, with
//! a reason; none is dropped.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDateTime, Utc};

use crate::failure::Failure;

/// One line of the file that can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InvoiceLine {
    /// Its number in the file, the header's being 1: with the invoice it names the line for ever.
    pub(crate) number: u64,
    /// The invoice's number.
    pub(crate) invoice: String,
    /// The item.
    pub(crate) sku: String,
    /// What the file calls the item; may be empty.
    pub(crate) description: String,
    /// Negative when goods came back.
    pub(crate) quantity: i64,
    /// Of one unit; 0 where the file gives none.
    pub(crate) unit_price_cents: i64,
    /// When it was written.
    pub(crate) occurred_at: DateTime<Utc>,
    /// The buyer, as the file numbers its customers; empty when it does not say.
    pub(crate) customer: String,
    /// The buyer's.
    pub(crate) country: String,
}

/// Everything that the file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Invoices {
    /// Lines below the header, usable or not.
    pub(crate) count: u64,
    /// Lines may say who bought.
    pub(crate) has_customers: bool,
    /// The usable ones in order.
    pub(crate) lines: Vec<InvoiceLine>,
    /// The reasons of the others.
    pub(crate) unusable: Vec<&'static str>,
}

const COLUMNS: [&str; 7] =
    ["InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "Country"];
/// A column that a file need not have.
const CUSTOMER: &str = "CustomerID";

/// Neither a quantity, a time or a price, nor the name of an item, can be read.
pub(crate) const UNREADABLE: &str = "unreadable_line";
/// The price has a part of a penny, and the system keeps whole ones.
pub(crate) const PART_OF_A_PENNY: &str = "part_of_a_penny";

impl InvoiceLine {
    /// Goods came back, or an invoice was cancelled.
    pub(crate) fn is_return(&self) -> bool {
        self.quantity < 0 || self.invoice.starts_with('C')
    }

    /// A sale that the business accepts.
    pub(crate) fn is_valid_sale(&self) -> bool {
        !self.is_return() && self.quantity > 0 && self.unit_price_cents > 0
    }
}

/// Reads a file's bytes, already unpacked; UTF-8, or Latin-1 where they are not.
///
/// # Errors
/// A column is missing.
pub(crate) fn read(bytes: &[u8]) -> Result<Invoices, Failure> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.trim_start_matches('\u{feff}').to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    };
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    let headers = reader.headers().map_err(|error| Failure::new(error.to_string()))?;
    let places: HashMap<String, usize> =
        headers.iter().enumerate().map(|(place, name)| (name.trim().to_owned(), place)).collect();
    let missing: Vec<&str> =
        COLUMNS.into_iter().filter(|column| !places.contains_key(*column)).collect();
    if !missing.is_empty() {
        return Err(Failure::new(format!("the file has no column {}", missing.join(", "))));
    }
    let mut invoices =
        Invoices { has_customers: places.contains_key(CUSTOMER), ..Invoices::default() };
    for (number, record) in (2..).zip(reader.records()) {
        invoices.count += 1;
        let record = record.map_err(|error| Failure::new(error.to_string()))?;
        let field = |column: &str| places.get(column).and_then(|place| record.get(*place));
        match line(number, field) {
            Ok(line) => invoices.lines.push(line),
            Err(reason) => invoices.unusable.push(reason),
        }
    }
    Ok(invoices)
}

fn line<'a>(
    number: u64,
    field: impl Fn(&str) -> Option<&'a str>,
) -> Result<InvoiceLine, &'static str> {
    let text = |column| field(column).ok_or(UNREADABLE);
    let sku = text("StockCode")?;
    if sku.is_empty() || sku.len() > 128 || sku.chars().any(char::is_control) {
        return Err(UNREADABLE); // the system's own rule for a SKU
    }
    Ok(InvoiceLine {
        number,
        invoice: text("InvoiceNo")?.trim().to_owned(),
        sku: sku.to_owned(),
        description: text("Description")?.trim().to_owned(),
        quantity: text("Quantity")?.trim().parse().map_err(|_| UNREADABLE)?,
        unit_price_cents: cents(text("UnitPrice")?.trim())?,
        occurred_at: time(text("InvoiceDate")?.trim()).ok_or(UNREADABLE)?,
        customer: field(CUSTOMER).unwrap_or_default().trim().to_owned(),
        country: text("Country")?.trim().to_owned(),
    })
}

/// `12/1/10 8:26` is the first of December: month, day, year, in UTC. The year may have four
/// digits, the time seconds.
fn time(text: &str) -> Option<DateTime<Utc>> {
    const FORMATS: [&str; 4] =
        ["%m/%d/%y %H:%M", "%m/%d/%Y %H:%M", "%m/%d/%y %H:%M:%S", "%m/%d/%Y %H:%M:%S"];
    let read = |format| NaiveDateTime::parse_from_str(text, format).ok();
    FORMATS.into_iter().find_map(read).map(|time| time.and_utc())
}

/// Pounds as pence, digit by digit: a float would lose some.
fn cents(pounds: &str) -> Result<i64, &'static str> {
    let (sign, digits) = match pounds.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, pounds),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(part) {
        return Err(UNREADABLE);
    }
    let part = part.trim_end_matches('0');
    if part.len() > 2 {
        return Err(PART_OF_A_PENNY);
    }
    let pence = format!("{whole}{part:0<2}").parse::<i64>().map_err(|_| UNREADABLE)?;
    Ok(sign * pence)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str =
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n";

    #[test]
    fn a_line_is_read_whole_with_its_quotes_its_time_and_its_price_in_pence() {
        let file = format!(
            "{HEADER}536477,22041,\"RECORD FRAME 7\"\" SINGLE, BIG \",48,12/1/10 12:27,2.1,17850,EIRE\n"
        );
        let invoices = read(file.as_bytes()).unwrap();
        let line = &invoices.lines[0];
        assert_eq!(line.description, "RECORD FRAME 7\" SINGLE, BIG");
        assert_eq!((line.number, line.quantity, line.unit_price_cents), (2, 48, 210));
        assert_eq!(line.occurred_at.to_rfc3339(), "2010-12-01T12:27:00+00:00");
        assert_eq!((line.customer.as_str(), invoices.has_customers), ("17850", true));
        assert!(line.is_valid_sale());
    }

    #[test]
    fn pounds_become_pence_exactly_or_not_at_all() {
        for (pounds, pence) in
            [("2.55", 255), ("2.1", 210), ("4", 400), ("0.290", 29), ("-1.5", -150)]
        {
            assert_eq!(cents(pounds), Ok(pence), "{pounds}");
        }
        assert_eq!(cents("0.001"), Err(PART_OF_A_PENNY));
        for bad in ["", "x", "1.2.3", "1e3", ".5", "--1"] {
            assert_eq!(cents(bad), Err(UNREADABLE), "{bad}");
        }
    }

    #[test]
    fn an_unusable_line_is_counted_with_its_reason() {
        let file =
            format!("{HEADER}1,A,a,many,12/1/10 8:00,1,,X\n1,A\n1,A,a,1,12/1/2010 8:00,1,,X\n");
        let invoices = read(file.as_bytes()).unwrap();
        assert_eq!((invoices.count, invoices.lines.len()), (3, 1));
        assert_eq!(invoices.unusable, [UNREADABLE, UNREADABLE]);
    }

    #[test]
    fn cancellations_and_negative_quantities_are_returns_and_free_goods_no_valid_sale() {
        let file = format!(
            "{HEADER}C1,A,a,-1,12/1/10 8:00,1,,X\n1,A,a,-1,12/1/10 8:00,0,,X\n1,A,a,1,12/1/10 8:00,0,,X\n"
        );
        let invoices = read(file.as_bytes()).unwrap();
        let kinds: Vec<_> =
            invoices.lines.iter().map(|line| (line.is_return(), line.is_valid_sale())).collect();
        assert_eq!(kinds, [(true, false), (true, false), (false, false)]);
    }

    #[test]
    fn a_file_need_not_say_who_bought() {
        let columns = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,Country";
        let file = format!("{columns}\n1,A,a,1,12/1/10 8:00,1,X\n");
        let invoices = read(file.as_bytes()).unwrap();
        assert_eq!((invoices.has_customers, invoices.lines[0].customer.as_str()), (false, ""));
    }

    #[test]
    fn a_file_of_other_columns_is_refused() {
        let told = read(b"a,b\n1,2\n").unwrap_err().to_string();
        assert!(told.starts_with("the file has no column InvoiceNo, StockCode"), "{told}");
    }
}

//! What the totals must be, computed from the file alone. Shares nothing with the system and
//! nothing with the importer: its own reading of CSV, of numbers and of what a line is. Bytes flow
//! in, totals flow out.

mod orders;

use std::collections::{BTreeMap, BTreeSet};

use super::LinesBecome;
use super::report::Totals;

use orders::Purchases;

const COLUMNS: [&str; 7] =
    ["InvoiceNo", "StockCode", "Quantity", "UnitPrice", "CustomerID", "Country", "InvoiceDate"];

/// Computes the totals of a file of invoice lines, already unpacked.
pub(crate) fn totals(bytes: &[u8], lines_become: LinesBecome) -> Totals {
    let mut rows = rows(bytes).into_iter();
    let header = rows.next().unwrap_or_default();
    let columns = COLUMNS.map(|name| header.iter().position(|column| column.trim() == name));
    let mut sums = Totals::default();
    let (mut items, mut sold) = (BTreeSet::new(), BTreeSet::new());
    let mut purchases = Purchases::default();
    for row in rows {
        sums.lines += 1;
        let line = match line(columns.map(|place| text_at(&row, place))) {
            Ok(line) => line,
            Err(reason) => {
                sums.refuse(reason);
                continue;
            }
        };
        let Line { invoice, sku, quantity, pence, customer, country } = line;
        items.insert(sku.to_owned());
        purchases.see_price(sku, pence);
        let came_back = quantity < 0 || invoice.trim().starts_with('C');
        if quantity == 0 || (!came_back && pence < 0) {
            sums.refuse("invalid_fields");
        } else if came_back {
            sums.accepted += 1;
            sums.returns += 1;
        } else if pence == 0 {
            sums.refuse("invalid_price");
        } else if lines_become == LinesBecome::Orders && !customer.trim().is_empty() {
            sums.accepted += 1;
            purchases.take(customer, invoice, sku, quantity);
        } else {
            sums.accepted += 1;
            sums.valid_lines += 1;
            sums.units_sold += quantity;
            sums.revenue_cents += quantity * pence;
            *sums.revenue_by_country.entry(named(country)).or_default() += quantity * pence;
            sold.insert(sku.to_owned());
        }
    }
    sums.items = items.len() as u64;
    sums.items_sold = sold.len() as u64;
    sums.orders = (lines_become == LinesBecome::Orders).then(|| purchases.figures());
    sums
}

/// What is needed of a line.
struct Line<'a> {
    invoice: &'a str,
    sku: &'a str,
    quantity: i64,
    pence: i64,
    customer: &'a str,
    country: &'a str,
}

/// The texts of [`COLUMNS`] as a line; or why they are none.
fn line(
    [invoice, sku, quantity, price, customer, country, date]: [&str; 7],
) -> Result<Line<'_>, &'static str> {
    match (whole(quantity), pence(price)) {
        (Some(quantity), Some(Ok(pence))) if !sku.is_empty() && has_date(date) => {
            Ok(Line { invoice, sku, quantity, pence, customer, country })
        }
        (Some(_), Some(Err(()))) if !sku.is_empty() => Err("part_of_a_penny"),
        (_, _) => Err("unreadable_line"),
    }
}

fn text_at(row: &[String], place: Option<usize>) -> &str {
    place.and_then(|place| row.get(place)).map_or("", String::as_str)
}

/// Rows of fields: a comma ends a field, a line's end a row, unless between quotes; two quotes
/// between quotes are one (RFC 4180). Rows without any character are none.
fn rows(bytes: &[u8]) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut row: Vec<Vec<u8>> = vec![Vec::new()];
    let mut quoted = false;
    let mut bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).iter().peekable();
    let mut finish = |row: &mut Vec<Vec<u8>>| {
        let fields = std::mem::replace(row, vec![Vec::new()]);
        if fields.len() > 1 || !fields[0].is_empty() {
            rows.push(fields.into_iter().map(text).collect());
        }
    };
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' if quoted && bytes.peek() == Some(&&b'"') => {
                bytes.next();
                push(&mut row, b'"');
            }
            b'"' => quoted = !quoted,
            b',' if !quoted => row.push(Vec::new()),
            b'\n' | b'\r' if !quoted => finish(&mut row),
            byte => push(&mut row, *byte),
        }
    }
    finish(&mut row);
    rows
}

fn push(row: &mut [Vec<u8>], byte: u8) {
    if let Some(field) = row.last_mut() {
        field.push(byte);
    }
}

/// UTF-8, or else Latin-1.
fn text(bytes: Vec<u8>) -> String {
    let latin = |error: std::string::FromUtf8Error| {
        error.as_bytes().iter().map(|byte| *byte as char).collect()
    };
    String::from_utf8(bytes).unwrap_or_else(latin)
}

/// A sale without a country counts under this word.
fn named(country: &str) -> String {
    if country.trim().is_empty() { "unknown".to_owned() } else { country.trim().to_owned() }
}

fn whole(text: &str) -> Option<i64> {
    text.trim().parse().ok()
}

/// The price times 100; an inner error when it is no whole number then.
fn pence(text: &str) -> Option<Result<i64, ()>> {
    let text = text.trim();
    let digits = text.trim_start_matches('-');
    let negative = text.len() - digits.len();
    let mut value = 0_i64;
    let mut decimals = None;
    let mut fraction_of_a_penny = false;
    for c in digits.chars() {
        match (c, decimals) {
            ('.', None) if digits.starts_with(|first: char| first.is_ascii_digit()) => {
                decimals = Some(0);
            }
            ('0'..='9', Some(2)) => fraction_of_a_penny |= c != '0',
            ('0'..='9', _) => {
                value = value.checked_mul(10)?.checked_add(i64::from(c.to_digit(10)?))?;
                decimals = decimals.map(|count| count + 1);
            }
            (_, _) => return None,
        }
    }
    if digits.is_empty() || negative > 1 {
        return None;
    }
    if fraction_of_a_penny {
        return Some(Err(()));
    }
    let missing = 2 - decimals.unwrap_or(0);
    let value = value.checked_mul(10_i64.pow(missing))?;
    Some(Ok(if negative == 1 { -value } else { value }))
}

/// Three numbers between slashes, and hours and minutes behind.
fn has_date(text: &str) -> bool {
    let Some((date, time)) = text.trim().split_once(' ') else { return false };
    let numbers = |text: &str, separator: char| -> Option<Vec<u32>> {
        text.split(separator).map(|part| part.parse().ok()).collect()
    };
    let date = numbers(date, '/');
    let date = date.is_some_and(|date| {
        date.len() == 3 && (1..=12).contains(&date[0]) && (1..=31).contains(&date[1])
    });
    let time = numbers(time, ':');
    date && time.is_some_and(|time| (2..=3).contains(&time.len()) && time[0] < 24 && time[1] < 60)
}

impl Totals {
    fn refuse(&mut self, reason: &str) {
        let refused: &mut BTreeMap<String, u64> = &mut self.refused;
        *refused.entry(reason.to_owned()).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str =
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n";

    #[test]
    fn a_small_file_adds_up() {
        let file = format!(
            "{HEADER}1,A,\"x, \"\"y\"\"\",2,12/1/10 8:26,2.5,,France\r\n\
             1,a,z,1,12/1/10 8:26,0.01,,\"Isle, far\"\n\
             1,A,z,3,12/1/10 8:26,0,,France\n\
             C2,A,z,-1,12/1/10 8:26,2.5,,France\n\
             2,B,z,-4,12/1/10 8:26,0,,France\n\
             3,A,z,1,12/1/10 8:26,0.005,,France\n\
             3,A,z,one,12/1/10 8:26,1,,France\n"
        );
        let sums = totals(file.as_bytes(), LinesBecome::Sales);
        assert_eq!((sums.lines, sums.accepted, sums.valid_lines, sums.returns), (7, 4, 2, 2));
        assert_eq!((sums.items, sums.items_sold, sums.units_sold), (3, 2, 3));
        assert_eq!(sums.revenue_cents, 501);
        let countries = [("France".to_owned(), 500), ("Isle, far".to_owned(), 1)];
        assert_eq!(sums.revenue_by_country, BTreeMap::from(countries));
        let refused = [("invalid_price", 1), ("part_of_a_penny", 1), ("unreadable_line", 1)];
        let refused = refused.map(|(reason, count)| (reason.to_owned(), count));
        assert_eq!(sums.refused, BTreeMap::from(refused));
        assert_eq!(sums.orders, None);
    }

    #[test]
    fn a_line_of_no_units_or_of_a_negative_price_is_refused_by_the_commands_own_code() {
        let lines = "1,A,z,0,12/1/10 8:26,2.5,,France\n1,A,z,1,12/1/10 8:26,-2.5,,France\n";
        let sums = totals(format!("{HEADER}{lines}").as_bytes(), LinesBecome::Sales);
        assert_eq!(sums.refused, BTreeMap::from([("invalid_fields".to_owned(), 2)]));
    }

    #[test]
    fn what_customers_bought_adds_up_to_orders_and_the_rest_to_sales() {
        let file = format!(
            "{HEADER}C0,A,z,-1,12/1/10 8:00,2,9,France\n\
             1,A,z,2,12/1/10 8:26,2.5,17,France\n\
             1,B,z,1,12/1/10 8:26,1,17,France\n\
             1,A,z,3,12/1/10 8:27,2.4, 17 ,France\n\
             1,A,z,1,12/1/10 8:27,2.4,9,France\n\
             2,B,z,1,12/1/10 8:30,0,17,France\n\
             3,B,z,4,12/1/10 8:31,3,,France\n"
        );
        let sums = totals(file.as_bytes(), LinesBecome::Orders);
        assert_eq!((sums.lines, sums.accepted, sums.returns), (7, 6, 1));
        assert_eq!((sums.valid_lines, sums.units_sold, sums.revenue_cents), (1, 4, 1_200));
        assert_eq!((sums.items, sums.items_sold), (2, 1));
        let orders = sums.orders.unwrap();
        assert_eq!((orders.customers, orders.placed, orders.items), (2, 2, 3));
        assert_eq!((orders.total_cents, orders.refused.len()), (5 * 200 + 100 + 200, 0));
        // printf '17,1100\n9,200\n' | sha256sum
        let digest = "7f6dc2dd137c4c4990c4ea59112fd1f5728134af514b3ba15d5912682117ebff";
        assert_eq!(orders.total_by_customer_sha256, digest);
    }

    fn shipped() -> Vec<u8> {
        let path =
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../data/online_retail_2010-12-01_06.csv.gz");
        let packed = std::fs::File::open(path).unwrap();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::MultiGzDecoder::new(packed), &mut bytes)
            .unwrap();
        bytes
    }

    #[test]
    fn the_shipped_file_has_the_known_totals() {
        let sums = totals(&shipped(), LinesBecome::Sales);
        assert_eq!((sums.lines, sums.valid_lines, sums.items_sold), (14_022, 13_814, 2_204));
        assert_eq!((sums.units_sold, sums.revenue_cents), (112_692, 24_025_829));
        assert_eq!((sums.items, sums.returns, sums.accepted), (2_230, 186, 14_000));
    }

    #[test]
    fn the_shipped_file_has_the_known_orders() {
        let sums = totals(&shipped(), LinesBecome::Orders);
        assert_eq!((sums.lines, sums.valid_lines, sums.accepted), (14_022, 4_117, 14_000));
        let orders = sums.orders.unwrap();
        assert_eq!((orders.customers, orders.placed, orders.items), (373, 496, 9_248));
        assert_eq!((orders.total_cents, orders.refused.len()), (19_932_400, 0));
        // Python's csv, Decimal and hashlib come to the same.
        let digest = "fa9a1365cf95569b114eb31600e7a493ef00d38429a543d3115928c523e4ef1e";
        assert_eq!(orders.total_by_customer_sha256, digest);
    }
}

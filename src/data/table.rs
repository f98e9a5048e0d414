//! Tables of numbers from CSV files.

use crate::element::Float;
use crate::error::{Error, ErrorKind};
use crate::shape::Shape;
use crate::tensor::Tensor;
use csv::{ReaderBuilder, StringRecord, Trim};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// A table of numbers with named columns, read from CSV.
///
/// The first line names the columns; every other holds one finite number for each. Lines without a
/// field are skipped, blanks around fields are dropped, fields may be quoted. Whatever else is
/// found is an error that names the file, the line and the column.
///
/// ```
/// use wengert::data::Table;
/// use wengert::prelude::*;
/// let text = "width,height,class\n1.5,2,0\n3,4.5,1\n";
/// let table = Table::from_reader(text.as_bytes())?;
/// let x: Tensor<f32> = table.columns(&["width", "height"])?;
/// assert_eq!(x, Tensor::from([[1.5, 2.0], [3.0, 4.5]]));
/// assert_eq!(table.labels("class", 2)?, Tensor::from([0, 1]));
///
/// let error = Table::from_reader("a,b\n1,2\n3,abc\n".as_bytes()).unwrap_err();
/// assert_eq!(error.to_string(), "line 3, column \"b\": \"abc\" is not a number");
/// # Ok::<(), wengert::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Table {
    /// The file and `": "`, to begin messages with; empty for a reader.
    source: String,
    names: Vec<String>,
    /// As long as `names`; each as long as `lines`.
    columns: Vec<Vec<f64>>,
    /// The line of the file that each row comes from.
    lines: Vec<u64>,
}

/// What some programs write at the start of a file in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Counts lines up to ascending positions of a text. (The positions of the csv crate know lines
/// too, but count a record after blank lines as if it stood on the first of them.)
struct Lines<'a> {
    text: &'a [u8],
    byte: usize,
    line: u64,
}

impl Lines<'_> {
    /// The line of the record that starts at or, after blank lines, behind a position.
    fn of(&mut self, position: Option<&csv::Position>) -> u64 {
        let start = position.map_or(self.byte, |position| position.byte() as usize);
        let mut passed = self.text[self.byte..].iter().enumerate();
        let reached = passed.find_map(|(i, &byte)| {
            let byte_is_blank = matches!(byte, b'\n' | b'\r');
            if self.byte + i >= start && !byte_is_blank {
                return Some(self.byte + i);
            }
            self.line += u64::from(byte == b'\n');
            None
        });
        self.byte = reached.unwrap_or(self.text.len());
        self.line
    }
}

impl Table {
    /// Reads a file.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] if the file cannot be read, [`ErrorKind::Parse`] if it is no table of
    /// numbers.
    ///
    /// ```
    /// use wengert::data::Table;
    /// let path = std::env::temp_dir().join("wengert_table_example.csv");
    /// std::fs::write(&path, "x,y\n1,2\n")?;
    /// let table = Table::from_path(&path)?;
    /// assert_eq!((table.names(), table.rows()), (&["x".to_string(), "y".to_string()][..], 1));
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_path(path: impl AsRef<Path>) -> Result<Table, Error> {
        let source = format!("{}: ", path.as_ref().display());
        let file = File::open(path).map_err(|cause| {
            Error::new(ErrorKind::Io, format!("{source}cannot be opened: {cause}")).caused_by(cause)
        })?;
        Table::read(source, file)
    }

    /// Reads text from a reader: a file in an archive, a response, a string.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] if it cannot be read, [`ErrorKind::Parse`] if it is no table of numbers.
    ///
    /// ```
    /// use wengert::data::Table;
    /// let table = Table::from_reader("x\n1\n2\n".as_bytes())?;
    /// assert_eq!(table.column("x")?, [1.0, 2.0]);
    /// # Ok::<(), wengert::Error>(())
    /// ```
    pub fn from_reader(reader: impl Read) -> Result<Table, Error> {
        Table::read(String::new(), reader)
    }

    fn read(source: String, mut reader: impl Read) -> Result<Table, Error> {
        let mut table = Table {
            source,
            names: Vec::new(),
            columns: Vec::new(),
            lines: Vec::new(),
        };
        let mut text = Vec::new();
        reader.read_to_end(&mut text).map_err(|cause| {
            let message = format!("{}cannot be read: {cause}", table.source);
            Error::new(ErrorKind::Io, message).caused_by(cause)
        })?;
        let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&text);
        let mut lines = Lines {
            text,
            byte: 0,
            line: 1,
        };
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .trim(Trim::All)
            .from_reader(text);
        let mut record = StringRecord::new();
        loop {
            match reader.read_record(&mut record) {
                Ok(false) => break,
                Ok(true) if table.names.is_empty() => {
                    table.read_names(lines.of(record.position()), &record)?;
                }
                Ok(true) => table.read_row(lines.of(record.position()), &record)?,
                Err(cause) => {
                    let what = match cause.kind() {
                        csv::ErrorKind::Utf8 { err, .. } => {
                            format!("field {} is not UTF-8", err.field() + 1)
                        }
                        _ => cause.to_string(),
                    };
                    let message = format!("line {}: {what}", lines.of(cause.position()));
                    return Err(table.fault(message).caused_by(cause));
                }
            }
        }
        if table.names.is_empty() {
            return Err(table.fault("the file is empty: expected a line of column names"));
        }
        Ok(table)
    }

    fn read_names(&mut self, line: u64, record: &StringRecord) -> Result<(), Error> {
        for name in record {
            if self.names.iter().any(|other| other == name) {
                return Err(self.fault(format!("line {line}: two columns are named {name:?}")));
            }
            self.names.push(name.to_string());
        }
        self.columns = vec![Vec::new(); self.names.len()];
        Ok(())
    }

    fn read_row(&mut self, line: u64, record: &StringRecord) -> Result<(), Error> {
        let (found, expected) = (record.len(), self.names.len());
        if found > expected {
            let message = format!("line {line}: {found} fields, but {expected} columns are named");
            return Err(self.fault(message));
        }
        for (i, name) in self.names.iter().enumerate() {
            let place = format!("line {line}, column {name:?}");
            match record.get(i) {
                Some("") => return Err(self.fault(format!("{place}: the field is empty"))),
                Some(field) => match field.parse::<f64>() {
                    Ok(x) if x.is_finite() => self.columns[i].push(x),
                    Ok(_) => {
                        return Err(
                            self.fault(format!("{place}: {field:?} is not a finite number"))
                        );
                    }
                    Err(_) => return Err(self.fault(format!("{place}: {field:?} is not a number"))),
                },
                None => {
                    let message = format!(
                        "{place}: the field is missing ({found} fields, but {expected} columns are named)"
                    );
                    return Err(self.fault(message));
                }
            }
        }
        self.lines.push(line);
        Ok(())
    }

    fn fault(&self, message: impl AsRef<str>) -> Error {
        Error::new(
            ErrorKind::Parse,
            format!("{}{}", self.source, message.as_ref()),
        )
    }

    /// The names of the columns, in the order of the file.
    ///
    /// ```
    /// # use wengert::data::Table;
    /// assert_eq!(Table::from_reader("x,y\n1,2\n".as_bytes())?.names(), ["x", "y"]);
    /// # Ok::<(), wengert::Error>(())
    /// ```
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The number of rows.
    ///
    /// ```
    /// # use wengert::data::Table;
    /// assert_eq!(Table::from_reader("x,y\n1,2\n".as_bytes())?.rows(), 1);
    /// # Ok::<(), wengert::Error>(())
    /// ```
    pub fn rows(&self) -> usize {
        self.lines.len()
    }

    fn place(&self, name: &str) -> Result<usize, Error> {
        self.names
            .iter()
            .position(|other| other == name)
            .ok_or_else(|| {
                let message = format!(
                    "{}no column is named {name:?}, only {:?}",
                    self.source, self.names
                );
                Error::new(ErrorKind::Missing, message)
            })
    }

    /// The numbers of one column.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`] if there is no such column.
    ///
    /// ```
    /// # use wengert::data::Table;
    /// let table = Table::from_reader("x,y\n1,2\n3,4\n".as_bytes())?;
    /// assert_eq!(table.column("y")?, [2.0, 4.0]);
    /// assert!(table.column("z").is_err());
    /// # Ok::<(), wengert::Error>(())
    /// ```
    pub fn column(&self, name: &str) -> Result<&[f64], Error> {
        Ok(&self.columns[self.place(name)?])
    }

    fn gathered<T: Float>(&self, places: &[usize]) -> Tensor<T> {
        Tensor::from_fn(Shape::from([self.rows(), places.len()]), |index| {
            T::of(self.columns[places[index[1]]][index[0]])
        })
    }

    /// Some columns, in the order named, as a tensor of shape `[rows, columns]`.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`] if there is no such column.
    ///
    /// ```
    /// # use wengert::data::Table;
    /// use wengert::prelude::*;
    /// let table = Table::from_reader("x,y,z\n1,2,3\n4,5,6\n".as_bytes())?;
    /// let tensor: Tensor<f64> = table.columns(&["z", "x"])?;
    /// assert_eq!(tensor, Tensor::from([[3.0, 1.0], [6.0, 4.0]]));
    /// # Ok::<(), wengert::Error>(())
    /// ```
    pub fn columns<T: Float>(&self, names: &[&str]) -> Result<Tensor<T>, Error> {
        let places = names
            .iter()
            .map(|name| self.place(name))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(self.gathered(&places))
    }

    /// All columns but some, in the order of the file, as a tensor of shape `[rows, columns]`.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`] if there is no column of a name that is left out.
    ///
    /// ```
    /// # use wengert::data::Table;
    /// use wengert::prelude::*;
    /// let table = Table::from_reader("x,y,z\n1,2,3\n4,5,6\n".as_bytes())?;
    /// let tensor: Tensor<f32> = table.columns_except(&["y"])?;
    /// assert_eq!(tensor, Tensor::from([[1.0, 3.0], [4.0, 6.0]]));
    /// # Ok::<(), wengert::Error>(())
    /// ```
    pub fn columns_except<T: Float>(&self, names: &[&str]) -> Result<Tensor<T>, Error> {
        let left_out = names
            .iter()
            .map(|name| self.place(name))
            .collect::<Result<Vec<_>, _>>()?;
        let places: Vec<usize> = (0..self.names.len())
            .filter(|i| !left_out.contains(i))
            .collect();
        Ok(self.gathered(&places))
    }

    /// A column of class numbers, as a tensor of shape `[rows]`.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`] if there is no such column, [`ErrorKind::Range`] if a number is not a
    /// whole one within `0..classes`.
    ///
    /// ```
    /// # use wengert::data::Table;
    /// use wengert::prelude::*;
    /// let table = Table::from_reader("digit\n7\n11\n".as_bytes())?;
    /// assert_eq!(table.labels("digit", 12)?, Tensor::from([7, 11]));
    /// let error = table.labels("digit", 10).unwrap_err();
    /// assert_eq!(error.to_string(), "line 3, column \"digit\": label 11 is outside 0..10");
    /// # Ok::<(), wengert::Error>(())
    /// ```
    pub fn labels(&self, name: &str, classes: usize) -> Result<Tensor<i64>, Error> {
        let labels = self
            .column(name)?
            .iter()
            .zip(&self.lines)
            .map(|(&x, line)| {
                let fault = |what: String| {
                    let message = format!(
                        "{}line {line}, column {name:?}: label {x} {what}",
                        self.source
                    );
                    Error::new(ErrorKind::Range, message)
                };
                if x.fract() != 0.0 {
                    Err(fault("is not a whole number".to_string()))
                } else if x < 0.0 || x >= classes as f64 {
                    Err(fault(format!("is outside 0..{classes}")))
                } else {
                    Ok(x as i64)
                }
            });
        Ok(Tensor::from(labels.collect::<Result<Vec<_>, _>>()?))
    }

    /// The rows whose number in one column passes a test. They keep the lines that errors name.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`] if there is no such column.
    ///
    /// ```
    /// # use wengert::data::Table;
    /// let table = Table::from_reader("fold,x\n0,1.5\n1,2.5\n0,3.5\n".as_bytes())?;
    /// let training = table.filter("fold", |fold| fold == 0.0)?;
    /// assert_eq!(training.column("x")?, [1.5, 3.5]);
    /// # Ok::<(), wengert::Error>(())
    /// ```
    pub fn filter(&self, name: &str, keep: impl FnMut(f64) -> bool) -> Result<Table, Error> {
        let kept: Vec<bool> = self.column(name)?.iter().copied().map(keep).collect();
        fn only<T: Copy>(all: &[T], kept: &[bool]) -> Vec<T> {
            all.iter()
                .zip(kept)
                .filter(|&(_, &kept)| kept)
                .map(|(&x, _)| x)
                .collect()
        }
        Ok(Table {
            source: self.source.clone(),
            names: self.names.clone(),
            columns: self
                .columns
                .iter()
                .map(|column| only(column, &kept))
                .collect(),
            lines: only(&self.lines, &kept),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    fn table(text: &str) -> Table {
        Table::from_reader(text.as_bytes()).unwrap()
    }

    fn fault(text: &str) -> String {
        let error = Table::from_reader(text.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Parse);
        error.to_string()
    }

    #[test]
    fn reads_what_csv_allows() {
        let x = table("\u{feff}a,\"b,c\" ,d\r\n 1 ,\"-2.5\",3e-2\r\n\r\n+.5,1E3,-0");
        assert_eq!(x.names(), ["a", "b,c", "d"]);
        let all: Tensor<f64> = x.columns_except(&[]).unwrap();
        assert_eq!(all, Tensor::from([[1.0, -2.5, 0.03], [0.5, 1000.0, 0.0]]));
        assert_eq!(x.lines, [2, 4]);
        let empty = table("a,b\n");
        assert_eq!(
            empty.columns::<f32>(&["b", "a"]).unwrap().shape()[..],
            [0, 2]
        );
        assert_eq!(empty.columns::<f32>(&[]).unwrap().shape()[..], [0, 0]);
        assert_eq!(empty.labels("a", 3).unwrap().shape()[..], [0]);
    }

    #[test]
    fn faults_name_line_and_column() {
        assert_eq!(
            fault(""),
            "the file is empty: expected a line of column names"
        );
        assert_eq!(
            fault("\n\n"),
            "the file is empty: expected a line of column names"
        );
        assert_eq!(fault("a,a\n"), "line 1: two columns are named \"a\"");
        assert_eq!(
            fault("a,b\n1,2\n3,abc\n"),
            "line 3, column \"b\": \"abc\" is not a number"
        );
        assert_eq!(
            fault("a,b\n1,nan\n"),
            "line 2, column \"b\": \"nan\" is not a finite number"
        );
        assert_eq!(
            fault("a\n1e999\n"),
            "line 2, column \"a\": \"1e999\" is not a finite number"
        );
        assert_eq!(
            fault("a,b\n1,\n"),
            "line 2, column \"b\": the field is empty"
        );
        assert_eq!(
            fault("a,b,c\n1,2,3\n\n4,5\n"),
            "line 4, column \"c\": the field is missing (2 fields, but 3 columns are named)"
        );
        assert_eq!(
            fault("a,b\n1,2,3\n"),
            "line 2: 3 fields, but 2 columns are named"
        );
    }

    #[test]
    fn faults_of_bytes_and_readers() {
        let error = Table::from_reader(&b"a,b\n1,2\n\n3,\xff\n"[..]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Parse);
        assert_eq!(error.to_string(), "line 4: field 2 is not UTF-8");

        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("the line is cut"))
            }
        }
        let error = Table::from_reader(Broken).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert_eq!(error.to_string(), "cannot be read: the line is cut");
        let error = Table::from_path("no/such/file.csv").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(
            error
                .to_string()
                .starts_with("no/such/file.csv: cannot be opened: ")
        );
        assert!(std::error::Error::source(&error).is_some());
    }

    #[test]
    fn a_file_is_named_in_faults() {
        let path = std::env::temp_dir().join(format!("wengert_table_{}.csv", std::process::id()));
        std::fs::write(&path, "digit\n1\n").unwrap();
        let table = Table::from_path(&path);
        std::fs::remove_file(&path).unwrap();
        let error = table.unwrap().labels("digit", 1).unwrap_err();
        let expected = format!(
            "{}: line 2, column \"digit\": label 1 is outside 0..1",
            path.display()
        );
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn labels_are_whole_numbers_within_the_classes() {
        let x = table("fold,label\n0,1\n1,2.5\n0,-1\n1,3\n0,2\n");
        let labels = |fold: f64| x.filter("fold", |f| f == fold).unwrap().labels("label", 3);
        assert_eq!(
            labels(1.0).unwrap_err().to_string(),
            "line 3, column \"label\": label 2.5 is not a whole number"
        );
        // Line 4 of the file, though the second row of those that are left.
        assert_eq!(
            labels(0.0).unwrap_err().to_string(),
            "line 4, column \"label\": label -1 is outside 0..3"
        );
        let positive = x
            .filter("label", |label| label > 0.0 && label != 2.5)
            .unwrap();
        assert_eq!(
            positive.labels("label", 4).unwrap(),
            Tensor::from([1, 3, 2])
        );
        assert_eq!(
            positive.labels("label", 3).unwrap_err().to_string(),
            "line 5, column \"label\": label 3 is outside 0..3"
        );
    }

    #[test]
    fn unknown_columns_are_errors() {
        let x = table("a,b\n1,2\n");
        let errors = [
            x.column("c").unwrap_err(),
            x.columns::<f32>(&["a", "c"]).unwrap_err(),
            x.columns_except::<f32>(&["c"]).unwrap_err(),
            x.labels("c", 2).unwrap_err(),
            x.filter("c", |_| true).unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), ErrorKind::Missing);
            assert_eq!(
                error.to_string(),
                "no column is named \"c\", only [\"a\", \"b\"]"
            );
        }
    }
}

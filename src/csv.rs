//! Comma-separated values: a header and rows, cells perhaps in double quotes.

/// A file of comma-separated values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Csv {
    /// Names of the columns.
    pub header: Vec<String>,
    /// Cells, as many to a row as there are columns.
    pub rows: Vec<Vec<String>>,
}

impl Csv {
    /// Reads a text. Empty lines are passed over; a row of another length is an error that names its line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim_start_matches('\u{feff}');
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let mut lines = lines.map(|(index, line)| (index + 1, cells(line)));
        let (_, header) = lines.next().ok_or("is empty")?;
        let mut rows = Vec::new();
        for (line, row) in lines {
            if row.len() != header.len() {
                let (cells, columns) = (row.len(), header.len());
                return Err(format!("line {line} has {cells} cells, the header has {columns}"));
            }
            rows.push(row);
        }
        Ok(Self { header, rows })
    }

    /// The place of a column, whatever the case of its letters.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.header.iter().position(|column| column.eq_ignore_ascii_case(name))
    }
}

/// The cells of a line. A quote inside of quotes is doubled.
fn cells(line: &str) -> Vec<String> {
    let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    let mut characters = line.trim_end_matches('\r').chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                cell.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(std::mem::take(&mut cell).trim().to_owned()),
            other => cell.push(other),
        }
    }
    cells.push(cell.trim().to_owned());
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_may_be_quoted() {
        let csv =
            Csv::parse("\u{feff}File,accuracy\r\n\"a, \"\"b\"\".onnx\", 91.5\r\n\nc,\n").unwrap();
        assert_eq!(csv.column("file"), Some(0));
        assert_eq!(csv.rows, [["a, \"b\".onnx", "91.5"], ["c", ""]]);
        assert!(Csv::parse("a,b\n1\n").unwrap_err().contains("line 2 has 1 cells"));
        assert!(Csv::parse("").is_err());
    }
}

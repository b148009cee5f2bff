//! Pages of HTML that need nothing else: no script, no font, nothing to be fetched. Diagrams in them are [`crate::svg`].

use crate::svg::escape;

const STYLE: &str = "\
body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:0 auto;padding:1rem;color:#222;background:#fff}\
h1{font-size:1.5rem}h2{font-size:1.2rem;margin-top:2rem}\
.wide{overflow-x:auto;width:max-content;max-width:min(100vw - 3rem,50vw + 20rem)}\
table{border-collapse:collapse;font-size:.85rem;white-space:nowrap}\
td,th{padding:.25rem .6rem;text-align:right;border-bottom:1px solid #ddd}\
td:first-child,th:first-child{text-align:left}\
code{background:#f3f3f3;padding:.1rem .3rem;overflow-wrap:anywhere}\
svg{width:100%;height:auto}.plot{font:12px system-ui,sans-serif}.plot text{fill:#444}\
summary{cursor:pointer}\
.grid{stroke:#e4e4e4}.whisker{stroke:#777}.box{fill:#cfe0f5;stroke:#4a7ab5}\
.median{stroke:#1f4e9e;stroke-width:2}.mean{fill:#c9510f;fill-opacity:.75}\
.dot{fill:#1f4e9e;fill-opacity:.55}.diagonal{stroke:#999;stroke-dasharray:4 4}\
.curve{fill:none;stroke:#c9510f}.small{color:#666;font-size:.85rem}";

/// The end of a page.
pub(crate) const CLOSE: &str = "</body></html>\n";

/// The start of a page: its head and its title.
pub(crate) fn open(title: &str) -> String {
    let title = escape(title);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <link rel=\"icon\" href=\"data:,\">\
         <title>{title}</title><style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n"
    )
}

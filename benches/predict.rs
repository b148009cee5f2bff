//! Time and memory of `weightsmith predict` by the size of the network:
//! `cargo bench --bench predict [-- FOLDER]`. Residual networks from 60 thousand to 100 million
//! parameters, each in a process of its own; FOLDER gets `predict.json` and `predict.svg`.

use std::{error::Error, fmt::Write, fs, path::PathBuf, process::Command};

use serde_json::{Value, json};
use weightsmith::spaces::residual_network;

/// Widths of the first layer.
const WIDTHS: [usize; 5] = [8, 31, 102, 154, 308];
/// Runs of each network; the fastest counts.
const RUNS: usize = 3;

struct Point {
    parameters: f64,
    seconds: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let work = tempfile::tempdir()?;
    let (mut rows, mut points) = (Vec::new(), Vec::new());
    println!("parameters     read     fill    write    whole (s)   peak memory");
    for width in WIDTHS {
        let model = work.path().join("network.onnx");
        fs::write(&model, residual_network("network", width))?;
        let mut best: Option<(f64, Value)> = None;
        for _ in 0..RUNS {
            let output = Command::new(env!("CARGO_BIN_EXE_weightsmith"))
                .args(["predict", "--json", "-q", "--device", "flex", "--force", "--out"])
                .args([&work.path().join("out"), &model])
                .output()?;
            if !output.status.success() {
                return Err(String::from_utf8_lossy(&output.stderr).into());
            }
            let result: Value = serde_json::from_slice(&output.stdout)?;
            let seconds = ["read", "fill", "write"]
                .iter()
                .filter_map(|part| result["timings"][part].as_f64())
                .sum();
            if best.as_ref().is_none_or(|(least, _)| seconds < *least) {
                best = Some((seconds, result));
            }
        }
        let (seconds, result) = best.ok_or("no run")?;
        let count = |label: &str| result["parameters"][label].as_u64().unwrap_or(0);
        let parameters = count("predicted") + count("calibrated");
        let timings = &result["timings"];
        let memory = result["peak_memory_bytes"].as_u64().unwrap_or(0);
        println!(
            "{parameters:10} {:8.3} {:8.3} {:8.3} {seconds:12.3} {:9} MiB",
            timings["read"].as_f64().unwrap_or(0.0),
            timings["fill"].as_f64().unwrap_or(0.0),
            timings["write"].as_f64().unwrap_or(0.0),
            memory >> 20,
        );
        points.push(Point { parameters: parameters as f64, seconds });
        rows.push(json!({
            "parameters": parameters,
            "seconds": seconds,
            "timings": timings,
            "peak_memory_bytes": memory,
        }));
    }
    let (slope, explained) = line(&points);
    println!(
        "{:.1} ns a parameter; a line through the origin explains {explained:.4}",
        1e9 * slope
    );
    if let Some(folder) = folder.map(PathBuf::from) {
        let result = json!({
            "schema": 1,
            "command": "cargo bench --bench predict -- FOLDER",
            "threads": std::thread::available_parallelism()?.get(),
            "seconds_per_parameter": slope,
            "r_squared": explained,
            "networks": rows,
        });
        fs::write(folder.join("predict.json"), serde_json::to_string_pretty(&result)? + "\n")?;
        fs::write(folder.join("predict.svg"), plot(&points, slope))?;
    }
    Ok(())
}

/// Slope of the line through the origin (least squares), and R² about the mean.
fn line(points: &[Point]) -> (f64, f64) {
    let sum = |of: fn(&Point) -> f64| points.iter().map(of).sum::<f64>();
    let slope = sum(|p| p.parameters * p.seconds) / sum(|p| p.parameters * p.parameters);
    let mean = sum(|p| p.seconds) / points.len() as f64;
    let total: f64 = points.iter().map(|p| (p.seconds - mean).powi(2)).sum();
    let left: f64 = points.iter().map(|p| (p.seconds - slope * p.parameters).powi(2)).sum();
    (slope, 1.0 - left / total)
}

/// Both axes logarithmic, with the fitted line.
fn plot(points: &[Point], slope: f64) -> String {
    let x = |parameters: f64| 60.0 + 130.0 * (parameters.log10() - 4.0);
    let y = |seconds: f64| 290.0 - 65.0 * (seconds.log10() + 3.0);
    let mut svg = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 700 350\" \
         font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"700\" height=\"350\" \
         fill=\"white\"/>\n",
    );
    for (exponent, label) in (4..=8).zip(["10 k", "100 k", "1 M", "10 M", "100 M"]) {
        let at = x(10f64.powi(exponent));
        let _ = writeln!(
            svg,
            "<path d=\"M{at} 30V290\" stroke=\"#ddd\"/><text x=\"{at}\" y=\"310\" \
             text-anchor=\"middle\">{label}</text>"
        );
    }
    for (exponent, label) in (-3..=1).zip(["1 ms", "10 ms", "0.1 s", "1 s", "10 s"]) {
        let at = y(10f64.powi(exponent));
        let _ = writeln!(
            svg,
            "<path d=\"M60 {at}H640\" stroke=\"#ddd\"/><text x=\"54\" y=\"{}\" \
             text-anchor=\"end\">{label}</text>",
            at + 4.0
        );
    }
    let ends = [5e4, 1.5e8].map(|parameters| (x(parameters), y(slope * parameters)));
    let [(x0, y0), (x1, y1)] = ends;
    let _ = writeln!(svg, "<path d=\"M{x0:.1} {y0:.1}L{x1:.1} {y1:.1}\" stroke=\"#999\"/>");
    for point in points {
        let (x, y) = (x(point.parameters), y(point.seconds));
        let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\" fill=\"#1f77b4\"/>");
    }
    let _ = writeln!(
        svg,
        "<text x=\"350\" y=\"20\" text-anchor=\"middle\">Reading, filling and writing a residual \
         network, two CPU cores; line: {:.0} ns a parameter</text>\n<text x=\"350\" y=\"335\" \
         text-anchor=\"middle\">parameters</text>\n</svg>",
        1e9 * slope
    );
    svg
}

"""The page of the report: its frame and its style, light and dark, on screen and on paper."""

from __future__ import annotations

__all__ = ["PAGE", "STYLE"]

STYLE = """
:root { color-scheme: light dark; --page: #f3f5f8; --card: #fff; --ink: #18202c; --soft: #5d6878;
  --line: #e1e6ed; --one: #2f6fde; --two: #f0a33a; }
@media (prefers-color-scheme: dark) { :root { --page: #10141a; --card: #1a2029; --ink: #e7ebf1;
  --soft: #95a1b2; --line: #2c3542; --one: #6ea5ff; --two: #f3b562; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 28px 20px; max-width: 1120px; background: var(--page);
  color: var(--ink); font: 15px/1.45 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
header { margin: 0 4px 20px; }
h1 { margin: 0 0 4px; font-size: 26px; }
h2 { margin: 0 0 10px; font-size: 16px; }
h3 { margin: 0; font-size: 13px; font-weight: 500; color: var(--soft); }
header p, small, footer, .note { color: var(--soft); }
header p { margin: 0; overflow-wrap: anywhere; }
section, .tile { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 16px 18px; min-width: 0; break-inside: avoid; }
main > section { margin-bottom: 16px; }
.tiles, .tables { display: grid; gap: 16px; margin-bottom: 16px; }
.tiles { grid-template-columns: repeat(auto-fit, minmax(200px, 1fr)); }
.tables { grid-template-columns: repeat(auto-fit, minmax(min(440px, 100%), 1fr)); }
.tile p { margin: 2px 0; font-size: 26px; font-weight: 650; font-variant-numeric: tabular-nums; }
table { width: 100%; border-collapse: collapse; table-layout: fixed; }
th, td { padding: 3px 0; font-weight: 400; font-variant-numeric: tabular-nums; }
th { width: 44%; text-align: left; overflow: hidden; text-overflow: ellipsis; white-space: nowrap;
  padding-right: 12px; }
td { width: 88px; text-align: right; }
td:last-child { width: 66px; color: var(--soft); }
td.bar { width: auto; }
td.none { text-align: left; }
td.bar i { display: block; height: 11px; min-width: 2px; border-radius: 3px;
  background: var(--one); }
svg { display: block; width: 100%; height: auto; }
svg line { stroke: var(--line); }
svg text { fill: var(--soft); font-size: 12px; }
.queries { fill: var(--one); background: var(--one); }
.responses { fill: var(--two); background: var(--two); }
.legend { float: right; color: var(--soft); font-size: 13px; }
.legend i { display: inline-block; width: 10px; height: 10px; border-radius: 2px;
  margin: 0 5px 0 14px; }
.percentiles { float: right; font-size: 14px; }
.percentiles span { margin-left: 18px; font-variant-numeric: tabular-nums; }
.percentiles b { color: var(--soft); font-weight: 500; }
.note { margin: 10px 0 0; font-size: 13px; }
footer { margin: 18px 4px 0; font-size: 13px; }
@media print { :root { color-scheme: light; --page: #fff; --card: #fff; --ink: #000;
  --soft: #444; --line: #ccc; --one: #2f6fde; --two: #f0a33a; }
  body { padding: 0; font-size: 12px; print-color-adjust: exact;
    -webkit-print-color-adjust: exact; }
  .tables { grid-template-columns: 1fr 1fr; } .tiles { grid-template-columns: repeat(4, 1fr); } }
"""

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>DNS traffic: {source}</title>
<style>{style}</style>
</head>
<body>
<header>
<h1>DNS traffic</h1>
<p>{source}</p>
<p><time id="first">{first}</time> to <time id="last">{last}</time></p>
</header>
<main>
<div class="tiles">{tiles}</div>
<section>
<span class="legend"><i class="queries"></i>queries<i class="responses"></i>responses</span>
<h2>Messages over time, a bar for {width}</h2>
{time}
</section>
<div class="tables">{tables}</div>
<section>
<span class="percentiles">{percentiles}</span>
<h2>Latency from query to response</h2>
{latency}
<p class="note" id="pairs">{pairs}</p>
</section>
</main>
<footer>{notes} Times are in UTC. Made by dnstap-logging {version}.</footer>
</body>
</html>
"""

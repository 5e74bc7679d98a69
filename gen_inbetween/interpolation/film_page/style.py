"""Style of a film's page: light and dark by the reader's system."""

STYLE = """
:root { color-scheme: light dark; --ink: #1a1d21; --soft: #565e68; --line: #d9dee4; --paper: #ffffff; --tint: #f4f6f8;
  --doubt: #b3400e; --doubt-fill: #f2a07a; --motion: #0b5cad; --motion-fill: #9cc4ec; --span: #f7d9c9;
  --repeat: #b9a7dc; --stands: #9fb0a6; --good: #1c6b3a; --warn: #9a3412; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaed; --soft: #a6afb9; --line: #363c44; --paper: #14171b;
  --tint: #1d2127; --doubt: #ff9d6c; --doubt-fill: #7a3a1c; --motion: #7dbbf7; --motion-fill: #23476b; --span: #46261a;
  --repeat: #6d5a99; --stands: #5b6c62; --good: #7fd49b; --warn: #ffab80; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, -apple-system, sans-serif; }
main { max-width: 68rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.55rem; line-height: 1.25; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.25rem 0 .75rem; }
p { max-width: 46rem; margin: .5rem 0; }
.lead { color: var(--soft); margin: .25rem 0 1rem; }
.verdict { font-size: 1.1rem; padding: .75rem 1rem; border-left: 5px solid var(--good); background: var(--tint);
  max-width: none; border-radius: 0 6px 6px 0; }
.verdict.doubtful { border-color: var(--doubt); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .6rem; margin: 1.25rem 0; }
.tiles div { background: var(--tint); border-radius: 6px; padding: .6rem .8rem; }
.tiles dt { color: var(--soft); font-size: .82rem; }
.tiles dd { margin: 0; font-size: 1.15rem; font-weight: 600; font-variant-numeric: tabular-nums; }
.strip { display: flex; gap: 2px; margin: 0 1.25% .4rem 5.4%; }
.strip img { flex: 1; min-width: 0; aspect-ratio: 16 / 9; object-fit: cover; border-radius: 3px; }
.wide { overflow-x: auto; }
.wide > div { min-width: 42rem; }
.chart { width: 100%; height: auto; display: block; }
.chart text { font: 13px system-ui, sans-serif; fill: var(--ink); }
.chart .tick { font-size: 12px; fill: var(--soft); font-variant-numeric: tabular-nums; }
.chart .grid { stroke: var(--line); }
.chart .frame { fill: var(--tint); }
.chart .line { fill: none; stroke-width: 1.6; stroke-linejoin: round; }
.chart .line.doubt { stroke: var(--doubt); } .chart .area.doubt { fill: var(--doubt-fill); opacity: .55; }
.chart .line.motion { stroke: var(--motion); } .chart .area.motion { fill: var(--motion-fill); opacity: .55; }
.chart .limit { stroke: var(--doubt); stroke-dasharray: 5 4; }
.chart .cut { stroke: var(--ink); stroke-width: 1.2; opacity: .75; }
.chart .doubtful { fill: var(--span); } .chart .repeat { fill: var(--repeat); } .chart .stands { fill: var(--stands); }
.moment { margin: 0 0 1.75rem; }
.moment h3 { font-size: 1rem; margin: 0 0 .4rem; font-weight: 600; }
.moment h3 span { font-weight: 400; color: var(--soft); }
.three { display: grid; grid-template-columns: repeat(3, 1fr); gap: .5rem; }
.three figure { margin: 0; }
.three img { width: 100%; height: auto; display: block; border-radius: 4px; background: var(--tint); }
.three .between img { outline: 3px solid var(--line); }
.moment.doubtful .between img { outline-color: var(--doubt); }
figcaption { font-size: .85rem; color: var(--soft); margin-top: .3rem; }
.scroll { overflow-x: auto; max-height: 24rem; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem 1.25rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top;
  overflow-wrap: anywhere; }
th { font-weight: 500; color: var(--soft); overflow-wrap: normal; }
ul { padding-left: 1.2rem; } li { margin: .25rem 0; max-width: 52rem; overflow-wrap: anywhere; }
summary { cursor: pointer; color: var(--motion); margin: .75rem 0; }
footer { margin-top: 3rem; padding-top: 1rem; border-top: 1px solid var(--line); color: var(--soft);
  font-size: .85rem; }
@media (max-width: 40rem) { .three { grid-template-columns: 1fr; } }
@media print { .wide > div { min-width: 0; } .moment { break-inside: avoid; } }
"""

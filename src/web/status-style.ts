/**
 * The page's whole appearance, inline: one request, no script, no file from elsewhere. Every text colour stands at
 * least 4.5 : 1 against its ground, in light and in dark.
 */
export const statusStyle = `
:root {
  color-scheme: light dark;
  --page: #f4f6f8; --card: #ffffff; --line: #e3e8ed; --text: #17212b; --quiet: #566472;
  --good: #17693a; --good-soft: #e2f4e9;
  --bad: #a32020; --bad-soft: #fce8e6;
  --warn: #7a4a00; --warn-soft: #fdf0d5;
  --calm: #4a5866; --calm-soft: #e9edf1;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0f151b; --card: #172028; --line: #26323d; --text: #e6ecf1; --quiet: #98a6b3;
    --good: #79d99c; --good-soft: #14301f;
    --bad: #ff9d94; --bad-soft: #3b1a19;
    --warn: #f1c56c; --warn-soft: #35290f;
    --calm: #a9b6c2; --calm-soft: #232f3a;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; padding: 0 1rem; background: var(--page); color: var(--text);
  font: 1rem/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif;
  -webkit-text-size-adjust: 100%;
}
main, footer { max-width: 40rem; margin-inline: auto; }
main { padding-top: clamp(1.25rem, 6vw, 4rem); }
h1, h2 { margin: 0 0 .75rem; font-size: .9375rem; font-weight: 600; color: var(--quiet); }
.banner {
  display: flex; align-items: center; gap: 1rem; padding: 1.25rem; margin-bottom: 2rem;
  border-radius: 1rem; color: var(--tone); background: var(--soft);
}
.banner p { margin: 0; }
.banner .headline { font-size: 1.25rem; font-weight: 650; line-height: 1.3; }
.banner .when { color: var(--text); font-size: .9375rem; margin-top: .125rem; }
.banner svg { width: 2.25rem; height: 2.25rem; }
svg { flex: none; width: 1.125rem; height: 1.125rem; }
ul { list-style: none; margin: 0; padding: 0; background: var(--card); border: 1px solid var(--line); border-radius: 1rem; }
li { display: flex; align-items: center; gap: 1rem; padding: .875rem 1.25rem; }
li + li { border-top: 1px solid var(--line); }
li bdi { flex: 1; text-align: left; min-width: 0; overflow-wrap: anywhere; font-weight: 550; }
.state {
  display: inline-flex; align-items: center; gap: .4rem; flex: none; padding: .2rem .7rem .2rem .5rem;
  border-radius: 99rem; font-size: .875rem; font-weight: 600; color: var(--tone); background: var(--soft);
}
.good { --tone: var(--good); --soft: var(--good-soft); }
.bad { --tone: var(--bad); --soft: var(--bad-soft); }
.warn { --tone: var(--warn); --soft: var(--warn-soft); }
.calm { --tone: var(--calm); --soft: var(--calm-soft); }
.empty { padding: 1.25rem; color: var(--quiet); }
footer { padding: 1.5rem 0 2rem; font-size: .875rem; color: var(--quiet); }
time { white-space: nowrap; }
a { color: inherit; }
@media (forced-colors: active) { .banner, .state { border: 1px solid; } }
`

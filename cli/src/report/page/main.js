// The beginning: the state of the address, then every part of the page.

Object.assign(state, parsed(location.hash));
filter();
drawHeadline();
drawCoverage();
drawTabs();
drawLegend();
// Before all that shows it.
onChange((changed) => {
  if (["q", "ns", "class", "verdict", "problems"].some((key) => changed.has(key))) filter();
});
drawFilters();
startMap();
startLists();
startPanel();
startKeys();
startPrint();
byId("skip").addEventListener("click", (event) => {
  event.preventDefault();
  state.change({ tab: "findings" });
  byId("main").focus();
});
addEventListener("hashchange", load);
addEventListener("popstate", load);

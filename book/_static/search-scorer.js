// The order of search results: pages of the book before those of the code. Sphinx's own weights otherwise.
"use strict";

var Scorer = {
  score: ([docname, , , , score]) => (docname.startsWith("book/api/") ? score - 20 : score),
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};

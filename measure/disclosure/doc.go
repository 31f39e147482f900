// Package disclosure decides what of a table of counts may be shown to
// somebody who may see no single case: an auditor, a public report.
//
// A count of 1 to 10 cases is hidden (Rule), and with it whatever would give it
// away by adding and subtracting. A family of tables is protected at once:
// everything that is ever published of one set of cases (a closed quarter, or a
// closed year). It has
//
//   - the outcomes of all its cases, by a Scheme: leaves that exclude each
//     other, and levels of detail, each of which divides the one before. Every
//     measure is a sum of leaves, so measures cannot be subtracted from each
//     other to learn more than the leaves tell;
//   - tables of one dimension (Dimension): each value is shown down to a level;
//   - tables of two dimensions (Pair), in which values that are not shown in
//     full are one row, Other, and a cell is shown in full or not at all.
//     The pairs may not close a circle (Protect refuses it): three tables by
//     A and B, B and C, C and A tell more together than each by itself.
//
// What is promised, and why it holds, is in docs/disclosure.md and
// docs/decisions/0017-what-an-auditor-may-see.md: whoever has every figure of
// the family, and the most able solver, finds at least Width+1 possible values
// for every sum of outcomes of a stratum that is hidden because it is small.
// The tests attack it by linear programming and by trying every data set.
//
// A family is of one set of cases. Families of disjoint sets (the quarters of a
// year) tell nothing of each other, and sums of what they show tell nothing
// new. Families of sets that overlap (a year and one of its quarters, the same
// quarter as of two days) are not protected against each other: whoever
// publishes gives each case to one family and publishes it once.
package disclosure

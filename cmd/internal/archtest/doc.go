// Package archtest holds the tree to the rules that the compiler does not know: which package may
// know which, where a library may be used, and what shape the code has.
//
//	every .go file ──► parsed ──► rules on files, packages and the top level ──► findings
//
// Each rule is a pure function from sources to findings. One test runs all of them over the tree;
// another feeds each of them a source that breaks it and one that does not, so that no rule is one
// that cannot fail. A rule without such examples fails the test.
//
// To allow something, add a row with its reason: imports of our own packages in layers.go, of
// libraries in libraries.go, a name that is used in few places in names.go, a long function, a large
// interface or a file at the top in shape.go. A row that nobody needs any more fails the test.
//
// Decision: the tree is walked rather than listed by go list, because a cached test result is then
// dropped when a file or folder appears, and because a package that does not compile is still read.
package archtest

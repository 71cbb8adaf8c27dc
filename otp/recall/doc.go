// Package recall remembers values by name, a bounded number of them.
//
// It is made for a node that knows a million accounts and is asked for any of them: what a look-up costs there is
// how often it waits for memory. A look-up reads two places besides the text of the name, and a value lies in one of them:
//
//	name ──hash──► slot {hash, item} ──► item {name, value}
//	               of its shard                 │
//	                                            └► the text, which values may share
//
// A look-up takes no lock, and writes nothing but, once in a round of the clock, that the item was used. Look-ups of many
// names wait for memory together: see [Cache.Expect].
//
// # Bound
//
// When more is remembered than may be, the clock goes on to an item that was not used since it came by last, and that one
// is forgotten (second chance; Corbató, "A paging experiment with the Multics system", 1968).
//
//	shard:  [·][u][ ][·][u][·][ ][u]     u: used, its mark is taken; ·: forgotten
//	             ▲ hand
package recall

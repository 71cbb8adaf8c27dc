package boltstore

// OpenTiny opens a store that forgets and folds all the time.
func OpenTiny(o Options) (*Store, error) {
	return open(o, bounds{remembered: 2, foldAccounts: 2, foldOctets: 2000, foldSlice: 1})
}

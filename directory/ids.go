package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// idsAtOnce is how many names are looked up in one search.
const idsAtOnce = 100

// IDs returns the ids ([Account.ID]) of the accounts with these login names, in their order, for whoever
// wants many at once: an account costs a part of what [Set.Find] costs, of its directory above all.
// errs[i] is about names[i], with the errors of Find. What is remembered and fresh is used; what is
// asked is not remembered, so that an import pushes out nobody who logs in.
func (s *Set) IDs(ctx context.Context, names []string) (ids []string, errs []error) {
	ids, errs = make([]string, len(names)), make([]error, len(names))
	lookups, of := make([][]lookup, len(s.homes)), make([][]int, len(s.homes))
	for i, name := range names {
		w, ok, err := s.names.route(name, nil)
		switch {
		case err != nil:
			errs[i] = fmt.Errorf("directory: %w", err)
		case !ok:
			errs[i] = fmt.Errorf("directory: %w in any directory", ErrNotFound)
		default:
			h := s.homes[w.directory]
			if a, known := h.cache.known(w.key); known {
				ids[i] = a.ID
				continue
			}
			lookups[w.directory] = append(lookups[w.directory], lookup{opIDs, h.LoginAttributes, w.values})
			of[w.directory] = append(of[w.directory], i)
		}
	}
	s.ask(ctx, lookups, func(home, at int, id string, err error) {
		i := of[home][at]
		if ids[i] = id; err != nil {
			errs[i] = fmt.Errorf("directory %q: %w", s.homes[home].Name, err)
		}
	})
	return ids, errs
}

// ask asks every directory its lookups, some at a time, and tells what became of each. Directories are
// asked at the same time; they are told of one at a time.
func (s *Set) ask(ctx context.Context, lookups [][]lookup, tell func(home, at int, id string, err error)) {
	var asked sync.WaitGroup
	var telling sync.Mutex
	for home, list := range lookups {
		if len(list) == 0 {
			continue
		}
		h := s.homes[home]
		asked.Go(func() {
			at := 0
			for chunk := range slices.Chunk(list, idsAtOnce) {
				chunkIDs, chunkErrs := h.ids(ctx, chunk)
				telling.Lock()
				for j := range chunk {
					tell(home, at+j, chunkIDs[j], chunkErrs[j])
				}
				telling.Unlock()
				at += len(chunk)
			}
		})
	}
	asked.Wait()
}

// ids asks the directory within its time, and measures how long it took.
func (h *home) ids(ctx context.Context, lookups []lookup) ([]string, []error) {
	ctx, cancel := context.WithTimeout(ctx, h.Timeout)
	defer cancel()
	begin := h.metrics.now()
	ids, errs := h.many.ids(ctx, lookups)
	var worst error
	for _, err := range errs {
		if err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrAmbiguous) {
			worst = err
		}
	}
	h.metrics.observe(opIDs, begin, worst)
	return ids, errs
}

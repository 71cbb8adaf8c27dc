package operator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"otpgate/directory"
	"otpgate/otp"
	"otpgate/otp/audit"
)

// How an import is spread out. What a directory or a store does for one account costs several times as
// much alone as it does among many; but nothing here may starve the logins that go on meanwhile.
const (
	importNames     = 100 // accounts looked up at once
	importLookups   = 4   // so many times at the same time
	importBatch     = 500 // devices stored at once
	importStores    = 2   // batches stored at the same time
	importTries     = 4   // of a lookup or a batch, when directory or store are unavailable
	importPause     = 250 * time.Millisecond
	importProgress  = 500 * time.Millisecond
	importOperation = 20 * time.Second // a lookup, or a batch
)

// importIDPurpose: a device's id is derived from its account and seed, so that the same line makes
// the same device however often it is imported.
const importIDPurpose = "imported device"

// imported is the action of what is on record of each device, before it is stored.
const imported = "device_imported"

// errUnrecorded ends an import: a device that is not on record must not be there.
var errUnrecorded = errors.New("devices cannot be put on record")

// event is one line of the answer to an import.
type event struct {
	Progress *progress    `json:"progress,omitempty"`
	Problem  *LineProblem `json:"problem,omitempty"`
	Result   *Imported    `json:"result,omitempty"`
	Error    *Error       `json:"error,omitempty"`
}

type progress struct {
	Done   int64 `json:"done"`
	Failed int64 `json:"failed"`
}

// importDevices answers POST /devices/import: a CSV comes in while events go out.
func (s *Server) importDevices(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	if err := control.EnableFullDuplex(); err != nil {
		s.fail(w, err, "")
		return
	}
	w.Header().Set("Content-Type", "application/jsonl")
	w.WriteHeader(http.StatusOK)
	im := &importing{server: s, request: r, encoder: json.NewEncoder(w), flush: control.Flush}
	if err := s.mayImport(r); err != nil {
		_, _ = io.Copy(io.Discard, r.Body)
		_, e := asError(err, "")
		im.tell(event{Error: e})
		return
	}
	_ = im.flush() // the client starts to read
	ctx, cancel := either(r.Context(), s.ctx)
	defer cancel()
	// A client that sends nothing does not keep the node from stopping.
	defer context.AfterFunc(s.ctx, func() { _ = control.SetReadDeadline(time.Unix(1, 0)) })()
	ended := make(chan struct{})
	var ticking sync.WaitGroup
	ticking.Go(func() { im.tick(ended) })
	err := im.run(ctx, r.Body)
	close(ended)
	ticking.Wait()
	// What is not read would break the connection before the client has read why.
	_, _ = io.Copy(io.Discard, r.Body)
	result := im.result()
	detail := fmt.Sprintf("%d added, %d there already, %d left out", result.Added, result.Existing, result.Failed)
	if err != nil {
		detail += "; broken off"
	}
	unrecorded := s.record(r, audit.Event{Action: "devices_imported", Detail: detail})
	switch {
	case s.ctx.Err() != nil:
		err = &Error{"the node stops; " + detail, "import the file again when it runs: what is there already is not added twice"}
	case errors.Is(err, errUnrecorded):
		err = &Error{err.Error() + "; " + detail, "see the node's log about the audit trail, and import the file again: what is there already is not added twice"}
	case err == nil && unrecorded != nil:
		err = &Error{detail + "; each device is on record, but not the end of the import: " + unrecorded.Error(), "see the node's log about the audit trail"}
	}
	im.tell(event{Progress: im.progress()})
	if err != nil {
		_, e := asError(err, "")
		im.tell(event{Error: e})
	} else {
		im.tell(event{Result: &result})
	}
	_ = im.flush()
}

// mayImport puts on record that an import begins, or says why it does not.
func (s *Server) mayImport(r *http.Request) error {
	if err := s.bound(); err != nil {
		return err
	}
	if err := s.announce(r, audit.Event{Action: "import_started"}); err != nil {
		return notOnRecord(err)
	}
	return nil
}

// importing is one import under way.
type importing struct {
	server  *Server
	request *http.Request
	flush   func() error
	mu      sync.Mutex // of encoder
	encoder *json.Encoder

	added, existing, failed atomic.Int64
}

func (im *importing) tell(e event) {
	im.mu.Lock()
	defer im.mu.Unlock()
	_ = im.encoder.Encode(e) // a client that has gone cancels the context
}

func (im *importing) problem(line int64, cause string) {
	im.failed.Add(1)
	im.tell(event{Problem: &LineProblem{line, cause}})
}

func (im *importing) result() Imported {
	return Imported{im.added.Load(), im.existing.Load(), im.failed.Load()}
}

func (im *importing) progress() *progress {
	r := im.result()
	return &progress{r.Added + r.Existing + r.Failed, r.Failed}
}

// tick tells how far it is, now and then.
func (im *importing) tick(ended <-chan struct{}) {
	t := time.NewTicker(importProgress)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			im.tell(event{Progress: im.progress()})
			im.mu.Lock()
			_ = im.flush()
			im.mu.Unlock()
		case <-ended:
			return
		}
	}
}

// found is a row with the account that it is for.
type found struct {
	row
	account string
}

// run reads rows, finds their accounts, and stores the devices, all at the same time. An error
// means that it was broken off; what was stored by then stays.
func (im *importing) run(ctx context.Context, body io.Reader) error {
	rows, err := newRowReader(body)
	if err != nil {
		return err
	}
	work, ctx := errgroup.WithContext(ctx)
	read, ready := make(chan []row, importLookups), make(chan []found, importLookups)
	start := func(do func() error) {
		work.Go(func() (err error) {
			// errgroup would let a panic end the process, and all logins with it.
			defer func() { err = errors.Join(err, im.server.panicked(recover())) }()
			return do()
		})
	}
	start(func() error {
		defer close(read)
		return im.read(ctx, rows, read)
	})
	var finding sync.WaitGroup
	for range importLookups {
		finding.Add(1)
		start(func() error {
			defer finding.Done()
			return im.find(ctx, read, ready)
		})
	}
	start(func() error { finding.Wait(); close(ready); return nil })
	for range importStores {
		start(func() error { return im.store(ctx, ready) })
	}
	return work.Wait()
}

// read reads rows, some at a time.
func (im *importing) read(ctx context.Context, rows *rowReader, out chan<- []row) error {
	batch := make([]row, 0, importNames)
	send := func() error {
		if len(batch) == 0 {
			return nil
		}
		select {
		case out <- batch:
			batch = make([]row, 0, importNames)
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for {
		r, err := rows.read()
		var bad *lineError
		switch {
		case errors.As(err, &bad):
			im.problem(bad.line, bad.cause)
			continue
		case errors.Is(err, io.EOF):
			return send()
		case err != nil:
			return &Error{"the file broke off after line " + fmt.Sprint(rows.line), "import it again: what is there already is not added twice"}
		}
		if batch = append(batch, r); len(batch) == importNames {
			if err := send(); err != nil {
				return err
			}
		}
	}
}

// find looks up the accounts of rows. A name that nobody has is that line's problem; a directory
// that is gone is everybody's.
func (im *importing) find(ctx context.Context, in <-chan []row, out chan<- []found) error {
	for rows := range in {
		batch, err := im.lookUp(ctx, rows)
		if err != nil {
			return err
		}
		select {
		case out <- batch:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return ctx.Err()
}

// lookUp returns those of the rows that have an account. What a directory does not answer it is asked
// again, a few times.
func (im *importing) lookUp(ctx context.Context, rows []row) ([]found, error) {
	batch := make([]found, 0, len(rows))
	err := insist(ctx, directory.ErrUnavailable, func(ctx context.Context) error {
		names := make([]string, len(rows))
		for i, r := range rows {
			names[i] = r.name
		}
		ids, errs := im.server.o.Accounts.IDs(ctx, names)
		var again []row
		var unavailable error
		for i, r := range rows {
			id, err := ids[i], errs[i]
			if err != nil {
				var a *directory.Account
				if a, err = im.server.byMail(ctx, r.name, err); err == nil {
					id = a.ID
				}
			}
			switch {
			case err == nil:
				batch = append(batch, found{r, id})
			case errors.Is(err, directory.ErrUnavailable):
				again, unavailable = append(again, r), err
			default:
				_, e := asError(err, r.name)
				im.problem(r.line, e.Fact)
			}
		}
		rows = again
		return unavailable
	})
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return batch, err
}

// store stores devices in batches.
func (im *importing) store(ctx context.Context, in <-chan []found) error {
	batch := make([]found, 0, importBatch+importNames)
	for {
		more, open := <-in
		batch = append(batch, more...)
		if len(batch) >= importBatch || !open && len(batch) > 0 {
			if err := im.storeBatch(ctx, batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
		if !open {
			return ctx.Err()
		}
	}
}

// storeBatch puts devices on record, all in one go, and stores them. What was not stored is on record
// as well.
func (im *importing) storeBatch(ctx context.Context, batch []found) error {
	devices, events := make([]otp.NewDevice, len(batch)), make([]audit.Event, len(batch))
	for i, f := range batch {
		devices[i] = f.fresh
		devices[i].Account = f.account
		sum := im.server.o.Keys.MAC(importIDPurpose, []byte(f.account), f.fresh.Seed)
		devices[i].ID = otp.DeviceID([10]byte(sum[:10]))
		events[i] = audit.Event{Action: imported, Account: f.account, Name: f.name, Device: devices[i].ID}
	}
	if err := im.server.announce(im.request, events...); err != nil {
		return fmt.Errorf("%w: %w", errUnrecorded, err)
	}
	var errs []error
	tries := 0
	err := insist(ctx, otp.ErrUnavailable, func(ctx context.Context) (err error) {
		tries++
		if err := im.server.bound(); err != nil {
			return err
		}
		errs, err = im.server.o.Devices.Import(ctx, devices)
		return err
	})
	if err != nil {
		for i := range events {
			events[i].Detail = "perhaps not done: " + err.Error()
		}
		_ = im.server.record(im.request, events...)
		return err
	}
	there := "it was there already"
	if tries > 1 { // the store may not have said what it has done
		there += ", or was added by this import, of which the store did not tell at once"
	}
	im.count(batch, events, errs, there)
	return nil
}

// count says of each device of a batch what became of it; there is of those that the store has.
func (im *importing) count(batch []found, events []audit.Event, errs []error, there string) {
	var left []audit.Event
	for i, err := range errs {
		switch {
		case err == nil:
			im.added.Add(1)
			continue
		case errors.Is(err, otp.ErrExists):
			im.existing.Add(1)
			events[i].Detail = there
		default:
			im.problem(batch[i].line, err.Error())
			events[i].Detail = "not done: " + err.Error()
		}
		left = append(left, events[i])
	}
	if len(left) > 0 {
		_ = im.server.record(im.request, left...)
	}
}

// insist does something again, a few times, while it fails with an error that may pass.
func insist(ctx context.Context, passing error, do func(context.Context) error) error {
	pause := importPause
	for tries := 1; ; tries++ {
		once, cancel := context.WithTimeout(ctx, importOperation)
		err := do(once)
		cancel()
		if err == nil || !errors.Is(err, passing) || tries == importTries {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
		pause *= 2
	}
}

// either returns a context that ends with either of two.
func either(a, b context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(a)
	stop := context.AfterFunc(b, cancel)
	return ctx, func() { stop(); cancel() }
}

// ImportDevices sends a CSV with the header name,seed_base32,algorithm,digits,period,label to the
// node, as a stream. Empty columns take the configured defaults. progress is told now and then how
// many lines are done, and how many of those failed; problem is told each line that was left out
// and why. Both may be nil, and are called one at a time. An error means that it was broken off;
// what was stored by then stays, and is not added again by another try.
func (c *Client) ImportDevices(ctx context.Context, csv io.Reader, progress func(done, failed int64), problem func(LineProblem)) (Imported, error) {
	res, err := c.send(ctx, http.MethodPost, "/devices/import", nil, "text/csv", csv)
	if err != nil {
		return Imported{}, err
	}
	defer res.Body.Close()
	for d := json.NewDecoder(res.Body); ; {
		var e event
		if err := d.Decode(&e); err != nil {
			if ctx.Err() != nil {
				return Imported{}, ctx.Err()
			}
			return Imported{}, c.broken(err)
		}
		switch {
		case e.Error != nil:
			return Imported{}, e.Error
		case e.Result != nil:
			return *e.Result, nil
		case e.Progress != nil && progress != nil:
			progress(e.Progress.Done, e.Progress.Failed)
		case e.Problem != nil && problem != nil:
			problem(*e.Problem)
		}
	}
}

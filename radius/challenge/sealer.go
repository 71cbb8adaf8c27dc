package challenge

import (
	"bytes"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"time"
)

var (
	// ErrUnknown: it is not a State of ours, or not one for this client, or it was issued in the future.
	ErrUnknown = errors.New("challenge: unknown State")
	// ErrExpired: it was good once, and its time is over.
	ErrExpired = errors.New("challenge: State has expired")
)

// Keys seals States and makes HMACs; [otpgate/otp/keyset] has them.
type Keys interface {
	// Seal encrypts plain and binds it to ad.
	Seal(plain, ad []byte) ([]byte, error)
	// Open decrypts what Seal made with the same ad, and fails for everything else.
	Open(sealed, ad []byte) ([]byte, error)
	// MAC is an HMAC over parts that is of no use for another purpose.
	MAC(purpose string, parts ...[]byte) [32]byte
}

// Options are what a Sealer needs; all of it must be there.
type Options struct {
	Keys Keys
	Now  func() time.Time
}

// Sealer seals and opens States. It is safe for concurrent use.
type Sealer struct {
	keys Keys
	now  func() time.Time
}

// New returns an error when something is missing in o.
func New(o Options) (*Sealer, error) {
	if o.Keys == nil || o.Now == nil {
		return nil, errors.New("challenge: Keys and Now must be given")
	}
	return &Sealer{keys: o.Keys, now: o.Now}, nil
}

// encoding has no padding and no octet that a C string, a log or a URL would trip over. Strict: no
// two texts are the same State.
func encoding() *base64.Encoding { return base64.RawURLEncoding.Strict() }

// Begin is a new challenge: the first factor was right just now.
func (s *Sealer) Begin(first Factor) State {
	state := State{Since: s.now(), Factor: first}
	for state.ID == [8]byte{} {
		_, _ = rand.Read(state.ID[:]) // never fails, or ends the process
	}
	return state
}

// Seal issues a State for client (its configured name) and account (its immutable id), printable
// ASCII of at most [MaxSize] octets: of [Sealer.Begin], or of [Sealer.Open] when the code was wrong
// and is asked for again, which begins a new life of it. It returns [ErrExpired] when the first
// factor was too long ago for that, and never makes a State of one account good for another.
func (s *Sealer) Seal(state State, client, account string) (string, error) {
	if !state.sound() || client == "" || account == "" {
		return "", errors.New("challenge: seal: no State that was begun, no client or no account")
	}
	state.issued = s.now()
	if state.issued.Before(state.Since) { // the clock was set back, or is another node's
		state.issued = state.Since
	}
	if !state.issued.Before(state.Expires()) {
		return "", fmt.Errorf("challenge: seal: %w", ErrExpired)
	}
	if state.account != [16]byte{} && !s.Of(state, account) {
		return "", errors.New("challenge: seal: the State is of another account")
	}
	state.account = s.digest(account)
	sealed, err := s.keys.Seal(state.marshal(), boundTo(client))
	if err != nil {
		return "", fmt.Errorf("challenge: seal: %w", err)
	}
	text := encoding().EncodeToString(sealed)
	if len(text) > MaxSize {
		return "", fmt.Errorf("challenge: seal: State of %d octets, of %d at most", len(text), MaxSize)
	}
	return text, nil
}

// Open reads the value of a State attribute that client has sent. It returns [ErrUnknown] or
// [ErrExpired]. The account has to be held against it with [Sealer.Of].
func (s *Sealer) Open(value []byte, client string) (State, error) {
	if len(value) == 0 || len(value) > MaxSize || bytes.ContainsAny(value, "\r\n") { // which base64 passes over
		return State{}, ErrUnknown
	}
	sealed, err := encoding().AppendDecode(nil, value)
	if err != nil {
		return State{}, ErrUnknown
	}
	plain, err := s.keys.Open(sealed, boundTo(client))
	if err != nil {
		return State{}, ErrUnknown
	}
	state, ok := unmarshal(plain)
	now := s.now()
	switch {
	case !ok, state.issued.After(now.Add(skew)):
		return State{}, ErrUnknown
	case !now.Before(state.Expires()):
		return State{}, ErrExpired
	}
	return state, nil
}

// Of reports, in constant time, whether a State that was opened was sealed for account.
func (s *Sealer) Of(state State, account string) bool {
	want := s.digest(account)
	return account != "" && subtle.ConstantTimeCompare(want[:], state.account[:]) == 1
}

func (s *Sealer) digest(account string) [16]byte {
	sum := s.keys.MAC("state account", []byte(account))
	return [16]byte(sum[:16])
}

// boundTo is the associated data of a State: nothing that the same keys have sealed for another
// purpose or client opens as one.
func boundTo(client string) []byte { return append([]byte("otpgate state\x00"), client...) }

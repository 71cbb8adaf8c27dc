package keyset

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/prf"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
)

// Name is the name of the file in data_dir.
const Name = "keyset.json"

// maxFile is how many octets the file may have; a thousand sealing keys fit in.
const maxFile = 1 << 20

var (
	// ErrExposed: others than the owner may read or write the file.
	ErrExposed = errors.New("keyset is open to others than its owner")
	// ErrDamaged: the file is there, but it is not a keyset.
	ErrDamaged = errors.New("keyset is damaged")
)

// file is what keyset.json holds.
type file struct {
	sealing, prf *keyset.Handle
}

// layout is how it is written.
type layout struct {
	Comment string          `json:"comment"`
	Version int             `json:"version"`
	Sealing json.RawMessage `json:"sealing"` // a Tink keyset
	PRF     json.RawMessage `json:"prf"`     // a Tink keyset
}

const version = 1

const comment = "Opens every seed in the store. The same file belongs on every node of a cluster, " +
	"and in a backup apart from the store's."

// Open reads the keyset of data_dir, and makes it when there is none, with data_dir (mode 0700) if
// need be; created tells. It returns an error that wraps [ErrExposed] or [ErrDamaged] when there is
// one that must not be used; it never replaces one.
func Open(dir string) (k *Keys, created bool, err error) {
	path := filepath.Join(dir, Name)
	f, err := read(path)
	if errors.Is(err, os.ErrNotExist) {
		if created, err = create(dir, path); err == nil {
			f, err = read(path)
		}
	}
	if err == nil {
		k, err = newKeys(f)
	}
	switch {
	case errors.Is(err, ErrExposed), errors.Is(err, ErrDamaged):
		return nil, false, fmt.Errorf("keyset: %s: %w", path, err)
	case err != nil:
		return nil, false, fmt.Errorf("keyset: %w", err) // names the path
	}
	return k, created, nil
}

func read(path string) (*file, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	switch mode := info.Mode(); {
	case !mode.IsRegular():
		return nil, fmt.Errorf("%w: it is not a file", ErrDamaged)
	case mode.Perm()&0o077 != 0:
		return nil, fmt.Errorf("%w (mode %04o)", ErrExposed, mode.Perm())
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return nil, err
	}
	return parse(data)
}

// parse reads the contents of the file. Its errors hold nothing of them.
func parse(data []byte) (*file, error) {
	var l layout
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if d.Decode(&l) != nil {
		return nil, fmt.Errorf("%w: it is not the JSON that was written", ErrDamaged)
	}
	if l.Version != version {
		return nil, fmt.Errorf("%w: version %d is not known here", ErrDamaged, l.Version)
	}
	f := &file{sealing: handle(l.Sealing), prf: handle(l.PRF)}
	if f.sealing == nil || f.prf == nil {
		return nil, fmt.Errorf("%w: what it holds is not two Tink keysets", ErrDamaged)
	}
	return f, nil
}

// handle is nil for what is not a Tink keyset.
func handle(data []byte) *keyset.Handle {
	h, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(data)))
	if err != nil {
		return nil
	}
	return h
}

// create writes new keys. The file appears under its name whole and on disk, or not at all, and
// never in place of another: of two processes that create at once, one finds the other's.
func create(dir, path string) (created bool, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return false, err
	}
	data, err := generate()
	if err != nil {
		return false, err
	}
	temp, err := os.CreateTemp(dir, ".keyset-*") // mode 0600
	if err != nil {
		return false, err
	}
	defer func() { _ = os.Remove(temp.Name()) }()
	_, err = temp.Write(data)
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return false, err
	}
	switch err := os.Link(temp.Name(), path); {
	case err == nil:
		created = true
	case !errors.Is(err, os.ErrExist):
		return false, err
	}
	// The folder's own entry may be new as well, in a folder that may not be ours to open.
	_ = syncDir(filepath.Dir(filepath.Clean(dir)))
	// Whoever came second syncs too: it may go on before the first has done so.
	return created, syncDir(dir)
}

// generate is the contents of a new file.
func generate() ([]byte, error) {
	sealing, err := template(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, err
	}
	hmac, err := template(prf.HMACSHA256PRFKeyTemplate())
	if err != nil {
		return nil, err
	}
	data, err := json.MarshalIndent(layout{Comment: comment, Version: version, Sealing: sealing, PRF: hmac}, "", "  ")
	return append(data, '\n'), err
}

// template is a new keyset with one key, in clear JSON.
func template(t *tinkpb.KeyTemplate) (json.RawMessage, error) {
	h, err := keyset.NewHandle(t)
	if err != nil {
		return nil, err
	}
	var clear bytes.Buffer
	err = insecurecleartextkeyset.Write(h, keyset.NewJSONWriter(&clear))
	return clear.Bytes(), err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

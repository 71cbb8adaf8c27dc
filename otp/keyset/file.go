package keyset

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
)

// Name is the name of the file in data_dir.
const Name = "keyset.json"

const (
	macKeyLength = 32
	maxFile      = 1 << 20
)

var (
	// ErrExposed: others than the owner may read the file.
	ErrExposed = errors.New("keyset is readable by others")
	// ErrDamaged: the file is there, but it is not a keyset.
	ErrDamaged = errors.New("keyset is damaged")
)

// file is what keyset.json holds.
type file struct {
	sealing *keyset.Handle
	macKey  []byte
}

// layout is how it is written.
type layout struct {
	Comment string          `json:"comment"`
	Version int             `json:"version"`
	Sealing json.RawMessage `json:"sealing"` // a Tink keyset
	MAC     []byte          `json:"mac"`
}

const comment = "Opens every seed in the store. The same file belongs on every node of a cluster, " +
	"and in a backup apart from the store's."

// Open reads the keyset of data_dir, and makes it when there is none, with data_dir if need be.
// It returns an error that wraps [ErrExposed] or [ErrDamaged] when there is one that must not be
// used; it never replaces one.
func Open(dir string) (k *Keys, created bool, err error) {
	path := filepath.Join(dir, Name)
	f, err := read(path)
	if errors.Is(err, os.ErrNotExist) {
		if created, err = create(dir, path); err == nil {
			f, err = read(path)
		}
	}
	if err != nil {
		return nil, false, fmt.Errorf("keyset: %w", err)
	}
	if k, err = newKeys(f); err != nil {
		return nil, false, fmt.Errorf("keyset: %s: %w: %w", path, ErrDamaged, err)
	}
	return k, created, nil
}

func read(path string) (*file, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	switch {
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: %w: it is not a file", path, ErrDamaged)
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("%s: %w (mode %04o)", path, ErrExposed, info.Mode().Perm())
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return nil, err
	}
	parsed, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", path, ErrDamaged, err)
	}
	return parsed, nil
}

// parse never puts octets of the file into an error.
func parse(data []byte) (*file, error) {
	var l layout
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if d.Decode(&l) != nil {
		return nil, errors.New("it is not the JSON that was written")
	}
	if l.Version != 1 {
		return nil, fmt.Errorf("version %d is not known here", l.Version)
	}
	if len(l.MAC) != macKeyLength {
		return nil, errors.New("the MAC key has a wrong length")
	}
	sealing, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(l.Sealing)))
	if err != nil {
		return nil, errors.New("the sealing keys are not a Tink keyset")
	}
	return &file{sealing: sealing, macKey: l.MAC}, nil
}

// create writes new keys. A file appears under its name whole and on disk, or not at all, and
// never in place of another: of two processes that create at once, one finds the other's.
func create(dir, path string) (bool, error) {
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
	defer os.Remove(temp.Name())
	_, err = temp.Write(data)
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return false, err
	}
	switch err := os.Link(temp.Name(), path); {
	case errors.Is(err, os.ErrExist):
		return false, nil
	case err != nil:
		return false, err
	}
	return true, syncDir(dir)
}

func generate() ([]byte, error) {
	sealing, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, err
	}
	var clear bytes.Buffer
	if err := insecurecleartextkeyset.Write(sealing, keyset.NewJSONWriter(&clear)); err != nil {
		return nil, err
	}
	key := make([]byte, macKeyLength)
	rand.Read(key) // never fails
	data, err := json.MarshalIndent(layout{Comment: comment, Version: 1, Sealing: clear.Bytes(), MAC: key}, "", "  ")
	return append(data, '\n'), err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

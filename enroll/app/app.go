package app

import (
	"embed"
	"io/fs"
)

//go:embed files
var files embed.FS

// Files are what is served below /app/, without folders; index.html is the app.
func Files() fs.FS {
	sub, err := fs.Sub(files, "files")
	if err != nil {
		return embed.FS{} // cannot be: the name is a valid one
	}
	return sub
}

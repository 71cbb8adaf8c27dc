// Package directory finds accounts in the directories that an organisation already runs.
package directory

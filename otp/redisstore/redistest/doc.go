// Package redistest runs real redis-servers for tests: on free ports of 127.0.0.1, in folders of
// their own, killed when the test ends or its process dies.
//
//	Start                  one server; with TLS when the arguments name a certificate
//	StartReplica           a replica of one
//	StartLink              a connection between two that can be cut
//	StartCluster           three masters that share the slots
//	StartReplicatedCluster the same with replicas
//	StartGrowingCluster    the same with a master that has no slots; BeginMove gives it one
//	StartSentinel(s)       a master, its replica and sentinels
//
// By default a server keeps an append-only file that it syncs before every answer, and no snapshot:
// what it has answered survives SIGKILL.
package redistest

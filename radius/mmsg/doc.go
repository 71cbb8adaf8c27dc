// Package mmsg reads batches of datagrams with recvmmsg(2), and prepares others for sendmmsg(2), as few messages
// as it takes. It allocates nothing for them.
//
// golang.org/x/net does so too, but for the address that it makes of each sender: that would be paid
// for every packet that anybody sends, before anybody knows whether it is worth it. Here the addresses use
// the same memory with each read. It knows Linux on 64-bit processors; elsewhere there is no reader.
package mmsg

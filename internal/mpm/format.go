package mpm

import (
	"encoding/binary"
	"hash/crc32"
)

// The layout of docs/format.md:
//
//	file    = block 0, block 1, …                   each of 65536 bytes
//	block 0 = file header | block header | records
//	META    = block header | records
//	CELLS   = block header | words
//
// This file and record.go are pure: they encode and decode bytes and do no I/O.

const (
	magic         = "\x89MPM\r\n\x1a\n"
	formatVersion = 1
	byteOrderMark = 0x0A0B0C0D

	headerSize      = 512
	blockHeaderSize = 64
	blockShift      = 16
	cacheLine       = 64

	// BlockSize is the unit in which a file grows, in bytes.
	BlockSize = 1 << blockShift
)

// Offsets in the file header.
const (
	offMagic        = 0
	offVersion      = 8
	offByteOrder    = 12
	offHeaderSize   = 16
	offBlockSize    = 20
	offIncarnation  = 24
	offCreated      = 40
	offPID          = 48
	offStartTime    = 56
	offBootID       = 64
	offPIDNamespace = 80
	offLiveness     = 88
	offLabelLen     = 92
	offLabel        = 96
	offHeaderCRC    = 252
	offBlocks       = 256
	offGeneration   = 264
	offClosed       = 272
	offMarked       = 280
	offInvalid      = 288
	offOverflow     = 296
	offFallback     = 304
	offDiscarded    = 312
	offClampedTime  = 320
	offFeatures     = 328
	offLease        = 336
	offBootTime     = 344
	offResets       = 352
	offExpired      = 360
	offRevived      = 368
	offReused       = 376

	maxLabelLen = 128
)

// Offsets in a block header.
const (
	offBlockKind  = 0
	offBlockIndex = 4
	offBlockUsed  = 8
	offBlockGen   = 16
	offBlockShape = 24
)

// Kinds of blocks.
const (
	blockMeta  = 1
	blockCells = 2
)

// Offsets in a record, and in the bodies of the kinds.
const (
	offRecLen   = 0
	offRecKind  = 4
	offRecFlags = 6
	offRecCRC   = 8
	offRecState = 12

	offFamID     = 16
	offFamType   = 20
	offFamMode   = 21
	offFamLabels = 22
	offFamConst  = 24
	offFamBounds = 26
	offFamStates = 28
	offFamTTL    = 30
	offFamBody   = 32

	offSerCreated = 16
	offSerRemoved = 24
	offSerActive  = 32
	offSerFamily  = 36
	offSerCells   = 40
	offSerValues  = 44
	offSerExtra   = 46
	offSerBody    = 48

	offExeSeries   = 16
	offExeBucket   = 20
	offExeSequence = 24
	offExeHalves   = 32

	// A native family is a family with these before its body.
	offNatSchema    = 32
	offNatLimit     = 34
	offNatExemplars = 36
	offNatThreshold = 40
	offNatBody      = 48

	offRegSeries   = 16
	offRegCells    = 20
	offRegSchema   = 24
	offRegNegative = 25
	offRegNumber   = 28

	regionSize = 32 // of the record
)

// Kinds and states of records.
const (
	kindFamily       = 1
	kindSeries       = 2
	kindExemplar     = 3
	kindNativeFamily = 4
	kindNativeSeries = 5
	kindRegion       = 6

	stateLive    = 1
	stateRemoved = 2
	stateFree    = 3
)

// Features of a file.
const (
	featureBlocks = 1 // blocks have gen and shape, and the lease counts
	featureActive = 2 // series of a family with a TTL have active, and the writer expires them
)

// activeShift: active of a series counts units of 1 << activeShift nanoseconds.
const activeShift = 26

const (
	// maxRecord is the longest record that fits a META block other than block 0.
	maxRecord = BlockSize - blockHeaderSize
	// minRecord is the shortest record: a free one.
	minRecord = 16
)

var (
	le         = binary.LittleEndian
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// blockStart returns the offset of the first record or word in block n, and the offset of
// its block header.
func blockStart(n int) (header, start uint64) {
	if n == 0 {
		return headerSize, headerSize + blockHeaderSize
	}
	return 0, blockHeaderSize
}

// recordCRC returns the checksum of a record. It covers the bytes before the checksum field
// and the immutable bytes after it. With a damaged length there may be none of the latter.
func recordCRC(rec []byte) uint32 {
	from, to := offFamID, len(rec)
	switch le.Uint16(rec[offRecKind:]) {
	case kindSeries, kindNativeSeries:
		from = offSerFamily
	case kindExemplar:
		to = min(offExeSequence, to)
	}
	crc := crc32.Update(0, castagnoli, rec[:offRecCRC])
	return crc32.Update(crc, castagnoli, rec[min(from, to):to])
}

// recordHead returns the first word of a record: its length and its kind.
func recordHead(size int, kind uint16) uint64 { return uint64(size) | uint64(kind)<<32 }

func align8(n int) int { return (n + 7) &^ 7 }

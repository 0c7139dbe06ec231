package mmapstore

import "os"

func giveToOwner(*os.File, os.FileInfo) error { return nil }

// Package actions lets a random test choose among named actions, so that its code and its
// failures say what happened:
//
//	all := actions.List{
//		{Weight: 8, Name: "a process counts", Do: count},
//		{Weight: 1, Name: "a process dies", Do: kill},
//		{Weight: 1, Name: "the dead are compacted", Do: compact},
//	}
//	story = append(story, all.Random(r))
package actions

// Package drift guards the current generation against changes that no plan asked for. It is told of
// changes by the kernel and looks by itself from time to time, compares with what the signed plan
// says, and ignores, reports, repairs or quarantines by class of file, as the plan wants it.
//
// Only a confirmed generation is guarded, so it never stands in the way of one that is being
// applied: rewriting a file of a generation that is being left harms nobody, and everything else
// that it does needs the turn, which the applier holds. What it repairs from is the delivery, whose
// digest the journal knows; it is proven again each time.
package drift

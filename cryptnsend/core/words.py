"""Which words make up the passphrases that we generate?

A list of our own for each language: 2,048 plain words of three to seven letters, so that each word drawn is exactly 11
bits. The English one is here, and what is said of it holds for the others too: no word sounds like another of them
where we noticed, and none is one that people would rather not read aloud to a patient. A list never changes its size; a
passphrase in use does not depend on it.
"""

from __future__ import annotations

from cryptnsend.core import words_spanish
from cryptnsend.core.model import Random

BITS = 11  # of chance in each word

_LIST = """
able accept acorn across act active actor adapt add admire admit adopt adult advice aerial afloat afraid agenda agent
agile aid aim air alarm album alert alike alley allow almond almost aloft alone alpine amber amble ample amuse anchor
angle animal ankle annual answer ant antler anvil apple apricot april apron aqua arcade arch arena arm around arrange
arrive art artist ash aspen asset atlas atom attic auburn august author autumn avenue avoid awake award aware away
awning axis azure baby back badge badger bag bagel bake baker balance balcony ball ballet balm bamboo banana band banjo
bank banner barber bargain bark barley barn barrel base basic basil basin basket bath baton battery bay bayou beach bead
beak beam bean bear beard beauty bed bee beehive beetle beige bell belt bench bend beret berry best beyond bicycle big
bike billow birch bird birth biscuit bison bit black blade blank blanket blaze blend bless blimp blink bliss block bloom
blossom blouse blue bluff blush board boat bobbin boil bold bolt bonfire bonnet bonus book boost boot booth border
borrow boss bottle bottom bow bowl box boy bracket braid brain bramble bran branch brass brave bread break breath breeze
brick bridge bright brim brisk bronze brook broom brother brown brush bubble bucket buckle bud buddy budget buffet bugle
build bulb bull bumble bump bunch bundle bunny burrow bus bush busy butter button buyer buzz cabbage cabin cable cactus
cadet cafe cage cake calf call calm camel camera camp campus canal canary candle candy cane canoe canopy canvas canyon
cap cape captain car caramel caravan card care cargo carol carp carpet carrot carry cart carve cash cashew castle cat
catch cattle cave cedar celery cello cement cereal chain chair chalk change chapel chapter charm chart chase chat cheek
cheer cheese chef cherry chess chest chew chili chime chimney chin chip chisel choice choir chop chord chorus chrome
chunk cinema circle circus citrus city clam class classic clay clean clear click client cliff climate climb clip cloak
clock cloth cloud clove clover club clue coach coal coast coat cobalt cobbler cocoa coconut code coffee coil coin cold
collar colony color comb come comet comfort compass concert condor cone cook cookie cool copper coral core cork corn
cosmic cottage cotton couch couple course court cousin cover crab cradle craft crane crater crayon cream create creek
crest crew cricket crisp crop crow crowd crown crumb crunch crystal cube cuckoo cuddle culture cup curb curl curtain
curve cushion cycle daily dairy daisy dance dapper dare dart dash dawn day debut decade deck decor deer delta deluxe
denim depot depth derby desert design desk detail detect diagram dial diamond diary dice diesel digit dime dine dinner
direct dish display ditch dive dock dog doll dolphin domain dome donate donkey door dot double dough dove down dozen
draft dragon drama draw drawer dream dress drift drill drink drive drizzle drop drum dry duck duet dune dusk dust duty
dwell dynamo eager eagle ear early earn earth ease easel east easy eat echo eclipse edge edit educate eel egg elastic
elbow elegant elf elk elm ember emblem emerald end energy engine enjoy entry envoy era estate evening event example exit
exotic expand expert explore extra eye eyebrow fable fabric face fact fair fairy faith falcon fall fame family famous
fan fancy farm fast father fathom faucet favor fawn feast feather feature feed feel fellow felt fence fennel fern ferry
fetch fiber fiddle field fiesta fig figure file fill film filter final find fine finger finish fire firm first fish fit
five fixture fjord flag flake flame flannel flare flash flat flavor fleet flex flicker flight flint flip float flock
floor floral flow flower fluent fluff flute fly foal foam focus fog foil fold folder folk follow font food foot forage
ford forest forge fork form formal fort forum forward fossil found four fox foyer frame freckle free freeze freight
french fresh friday fridge friend fringe frog front frost fruit fudge fuel full fun funnel funny fur future fuzzy gadget
gain galaxy gallery gallon gallop game gander gap garage garden garlic garment garnet gas gate gather gauge gazebo gear
gecko gem general genius gentle gerbil geyser giant gift giggle ginger giraffe girl glacier glad glance glass glaze
gleam glide glimpse glitter globe glossy glove glow glue goal goat gold golf gondola good goose gorge gourd gown grace
grain grammar grand granite grant grape graph grass gravel gravy gray green greet grid grill grin grip grocer groom
groove ground group grove grow growth guard guava guess guest guide guild guitar gulf gull gum guppy gust gutter gym
habit haiku hair half hall halo hamlet hammer hammock hamper hand handle handy hanger happen happy harbor harmony harp
harvest hat hatch haven hawk hay hazel head heap heart hearth heat heather hedge heel height hello helmet help herald
herb heron hickory high hike hill hinge hint hippo history hive hobby hockey holiday holly home honest honey hood hoof
hook hoop hope horizon horn hornet horse host hostel hotel house hover hub huddle hue hug hull humble humor hungry
hurdle hurry hut hybrid ice icicle icing icon idea ideal igloo image imagine index indigo indoor ink inlet inn input
insect inside install invite iris iron island item ivory ivy jackal jacket jade jaguar jam january jar jasmine jazz
jeans jelly jersey jet jetty jewel jigsaw jockey jog join joke jolly journal journey joy judge jug juggle juice july
jumbo jump june jungle junior juniper kale karate kayak keen keep kelp kennel kernel kettle key keyhole kid kidney kilt
kimono kind kindle king kiosk kiss kit kitchen kite kitten kiwi knee knit knob knock koala label lace lad ladder ladle
lady lagoon lake lamb lamp land lane lantern lapel laptop large lark lasso latch late lather latte laugh launch laundry
laurel lava lavish law lawyer layer leader leaf league leap learn leash least leather leave lecture ledge leek legend
lemon lend lens lentil leopard lesson letter lettuce level library license lichen lid lift light lilac lily limb lime
line linen linger lion lip liquid listen liter little lively lizard llama load loaf lobby lobster local locust lodge
lofty log logic long look loop lotus loud lounge loyal lucid luck luggage lullaby lumber lunar lunch lute luxury lyric
macaw machine magenta magic magnet maid mail major mall mallet mammal mango manor mansion mantle manual map maple marble
march marina mark market marlin maroon marsh marvel mascot mask mason mast mat match matrix mauve may mayor maze meadow
meal media medium meet mellow melody melon melt member memory mend mentor menu merge merit merry mesh message metal
meteor meter metro middle mild mile milk mill mind mineral mingle mini mint minute mirror mist mitten mix mixture moat
mobile model modem modern modest moment monday monkey month mood moon moose morning mosaic moss motel moth mother motion
motor mound mount mouse mouth move movie muffin mug mule mural museum music mustard mutual muzzle mystery myth nacho
name napkin narrow nation nature near neat nebula neck nectar needle neon nephew nest net network news next nibble nice
nickel niece night nimble nine ninety noble nod noise nomad noodle noon normal north notice nougat novel number nursery
nut nutmeg nylon oak oasis oat object oboe ocean october octopus offer office often oil olive omelet once onion onyx
open opera opinion optic oracle orange orbit orchard orchid order organ orient origin oriole osprey ostrich otter ounce
outdoor outfit outing outline oval oven owl owner oxygen oyster ozone pack package pad paddle page paint pajama palace
palm pan pancake panda panel panther pantry papaya paper parade parcel pardon parent park parka parlor parrot parsley
party pass passage pasta paste pastel pastry pasture patch path patient patio pattern pave paw peace peach peacock peak
peanut pear pearl pebble pecan pedal peel pelican pen pencil penguin penny people pepper perch perfect perform perfume
person petal phase phone photo phrase piano pick pickle picnic picture pie pier pigeon pillar pillow pilot pine pink
pint pioneer pipe pitch pixel pizza place plan planet plank plant plaster plate play plaza please pleat plenty plot plow
plug plum plume pocket poem poet point polar pole polite pollen polo pond pony pool popcorn poplar poppy popular porch
port portal porter poster potato potter pouch pound powder power prairie praise premium prepare press pretty pretzel
pride prince print prism program project promise proof proper proud prune public pudding puddle puffin pull pulp pulse
pumpkin punch pupil puppet purple purse push puzzle pyramid python quail quaint quality quarry quart quartz queen quest
quick quiet quill quilt quince quiver quiz quote rabbit raccoon race rack radar radio radish raft rail rain rainbow
raise raisin rally ramp ranch random rapid rare rattle raven ravine ray ready real reason recent recipe record red reef
refresh relax relay relic remind repeat reply report rescue resin resort rest result return reveal review reward rhyme
rhythm ribbon rice rich riddle ride ridge ring rinse ripe ripple rise river road roam roast robe robin robot rock rocket
roll roof room rooster root rope rose rotate round row royal rubber ruby rudder rug rule rumble run runner runway rural
rush russet rustic rye saddle safari safe saffron sage sail sailor salad salmon salon salt salute sample sand sandal
sardine satin saturn sauce saunter save savor scale scarf scene scenic school science scoop scooter score scout screen
script scroll scrub sculpt sea seal search season seat second secret section seed seek select senior sequel sequin
series settle seven shade shadow shake shape share sharp shawl sheep shelf shell shelter sherbet sheriff shield shift
shine ship shirt shoe shop shore short show shower shrimp shrub shrug shutter shy side sierra sift sign signal silent
silk silver simple sing singer single siren sister six sixty skate sketch ski skill skip skirt sky slab slate sled sleep
sleeve sleigh slice slide slim slipper slope slow small smart smile smooth snack snail snap sneeze snow soap soccer sock
soda sofa soft soil solar solid solo solve sonar song sonnet soon sort sound soup source south space spade spark sparrow
speech speed spell spend sphere spice spider spin spinach spiral spirit splash sponge spoon sport spot spray spread
spring sprout spruce square squash squid stable stadium staff stage stair stamp staple star start station statue stay
steady steam steel steep stereo stew still stir stitch stock stone stool store stork storm story stove straw stream
street stretch stride string stripe strong student studio study stuff style sublime suburb subway suede sugar sulfur
summer summit sun sunday sundial sunny sunset super supper sure surf sushi sweater sweet swift swim swing switch symbol
syrup system table tablet tackle taco tail tailor talent talk tall tandem tangle tango tank tape target tart task taste
tavern taxi tea teach team teapot teeth temple tempo ten tenant tender tennis tenor tent terrace text textile thaw
theater theme thick thimble thirty thistle thorn thread three thrive throne thumb thunder tiara ticket tide tidy tiger
tile timber time tin tinsel tiny tip tire titan title toad toast today toddler toffee token tomato tonic tool tooth
topaz topic torch total toucan touch tour towel tower town toy trace track tractor trade trail train transit travel tray
treat tree trek trellis trend tribe tribute trick trim trio trip trolley trophy tropic trout truck true trumpet trunk
trust truth try tub tuba tuesday tug tulip tumble tuna tundra tune tunnel turbine turkey turn turnip turtle tuxedo tweed
twelve twenty twice twig twin twine twist uncle uniform unique unit upbeat update upgrade uphill upper upright uptown
upward urban useful valley value valve vanilla vapor varnish vase vast vault vector velvet vendor venture vessel vest
veteran view village vine vinegar vintage vinyl viola violet violin virtue visa visit visor vista visual vital vivid
vocal voice volcano volume vote voyage wafer waffle wagon wait waiter walk wall wallet walnut walrus waltz wander want
warm wash watch water wave wax wealth weather weave web wedding weekend welcome west whale wharf wheat wheel whisk
whisper whistle white wick wide width wild willow win wind window wing winner winter wire wisdom wise wish wizard wolf
wonder wood wool word work world wrap wreath wrench writer yacht yard yarn yawn year yeast yellow yield yodel yoga
yogurt young youth zebra zenith zephyr zero zest zigzag zinc zipper zodiac zone zoo zoom
"""
WORDS = tuple(_LIST.split())
LISTS = {"en": WORDS, "es": words_spanish.WORDS}


def passphrase(rng: Random, bits: int = 80, language: str = "en") -> str:
    """
    Return words joined by hyphens that hold at least *bits* bits of chance: eight of them for 80.

    They are of *language*, a code of ISO 639-1; English where there is no list for it.
    """
    known = LISTS.get(language, WORDS)
    count = -(-bits // BITS)
    if count < 1:
        raise ValueError("a passphrase has at least one word")
    # 2,048 divides 65,536: every word is equally likely.
    drawn = rng(2 * count)
    return "-".join(known[int.from_bytes(drawn[i : i + 2], "big") % len(known)] for i in range(0, 2 * count, 2))


def suggestion(rng: Random, language: str = "en") -> str:
    """Return a passphrase that a person can keep in mind: five words, 55 bits, behind Argon2id."""
    return passphrase(rng, 5 * BITS, language)

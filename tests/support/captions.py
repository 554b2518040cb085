"""Captions of real scenes that are good, and answers of models that are none, by what is wrong with them."""

GOOD = """
a red circle moving left
two cyan squares, one above the other, both turning, on a dotted background
A brown dog with a red collar runs along the wet sand towards the sea. Waves break behind it under a grey sky.
Red poppies sway
A man hangs a picture of a ship on the wall while the camera moves slowly to the left.
Snow falls on pine trees
Waves crash against black rocks
A chef in a white jacket flips a pancake in a frying pan.
Fireworks burst over a harbor at night
An elderly couple dances tango on a cobbled street in Buenos Aires.
A café terrace in Paris fills with customers as a waiter carries croissants past the window.
Steam rises from a bowl of pho
A toddler in a yellow raincoat jumps into a puddle, splashing water onto her boots.
Close-up of hands kneading dough on a floured wooden board
Aerial view of a highway interchange with cars moving in both directions at dusk
Goldfish swim in a bowl
A sushi chef slices tuna into thin sashimi pieces
The aurora borealis ripples in green bands above a frozen lake.
A woman wearing a hijab types on a laptop in a bright office.
A tuk-tuk weaves through traffic in Bangkok
Time-lapse of clouds racing over the Himalayas
A sign above the door reads "OPEN 24 HOURS" in red neon letters.
A DJ in headphones adjusts the mixer while the crowd jumps behind him.
Two kids play chess beside a fountain
Macro shot of a bee collecting pollen from a lavender blossom
A jersey with the number 7 hangs in a locker room
Black-and-white footage of a steam train leaving a station
Jellyfish drift through dark blue water, their tentacles trailing behind them.
A mariachi band plays trumpets and violins in a plaza
Sunlight filters through the leaves of a bamboo forest
A drone descends towards a lighthouse on a cliff
Lava flows slowly down the slope of a volcano at night
A ballerina in a white tutu spins en pointe on a dark stage.
Cyclists climb a steep mountain road past cheering spectators
A potter shapes a vase on a spinning wheel, her fingers covered in wet clay.
Traffic lights change from red to green at an empty intersection
A flock of flamingos takes off from a shallow lagoon
An astronaut floats inside a space station, reaching for a pen
Espresso drips into a small glass cup
A farmer in a straw hat plants rice seedlings in a flooded paddy
Children run through a sprinkler on a lawn
A samurai draws his katana in slow motion
Pizza with mozzarella and basil bakes in a wood-fired oven
A blacksmith hammers a glowing iron bar on an anvil, sparks flying.
A ferry crosses the Bosphorus with Istanbul's skyline in the background
Raindrops slide down a windowpane
Dense fog rolls over the Golden Gate Bridge
A golden retriever puppy chews on a slipper
A violinist plays on a subway platform as commuters walk past
Hot-air balloons rise over Cappadocia at sunrise
A man with a beard and glasses speaks into a microphone at a podium.
Ink swirls in clear water
A cat watches a spinning washing machine
A robot arm welds a car frame on an assembly line
A barista pours milk into a latte, drawing a rosette
Lions rest under an acacia tree
A kayaker paddles down white-water rapids between boulders
Neon signs reflect in puddles on a street in Shinjuku
A grandmother knits a blue scarf by the fireplace
Footballers celebrate a goal in front of roaring fans
A snake slithers across hot sand
The camera pans across a bookshelf filled with old leather-bound books
A surgeon in green scrubs ties a suture
A carousel spins at a fairground, its lights blurring
Wind turbines turn on a grassy hill above the sea
A skateboarder performs a kickflip over a set of stairs
Candles flicker on a birthday cake
An owl turns its head towards the camera
A gondola glides beneath the Rialto Bridge in Venice
A woman in a sari lights oil lamps during Diwali
Popcorn pops in a pan
Horses gallop across a dusty plain
A boy builds a sandcastle with a red bucket while his sister digs a moat
Two boxers spar in a dim gym
A conductor raises his baton and the orchestra begins to play
A glacier calves into the sea, sending up a huge wave
Schoolchildren in uniform cross the road with a crossing guard
A paper boat floats along a gutter
A vintage Porsche 911 drives along a coastal road
Butterflies emerge from chrysalises
A street artist spray-paints a mural of a tiger on a brick wall
A newsreader sits at a desk in front of a map of Europe
Molten glass is shaped with tongs
A hiker with a large backpack walks up a rocky trail towards a snow-covered peak
A koala climbs a eucalyptus tree
Fishermen haul a net full of silver fish onto a wooden boat
A bride throws her bouquet to a group of guests
A spider spins its web between two branches at dawn
An empty playground swing moves in the wind
A crane lifts steel beams onto the tenth floor of a building
A toy train goes round and round on an oval track
A pair of tango dancers turn, the woman's red dress swirling around her legs
A man in a navy suit had had his tie loosened and leans against a bar
Elephants spray themselves with dust
A rocket lifts off from the launch pad in a cloud of smoke and flame
Dolphins leap alongside the bow of a sailboat
Autumn leaves drift down onto a park bench
A technician solders a circuit board beneath a magnifying lamp
A kettle whistles on a gas stove
The Eiffel Tower sparkles at night
Zebras drink from a waterhole
A man reads a newspaper on a bench, then folds it and walks away.
A sloth hangs upside down from a branch and slowly turns its head
People pray at the Western Wall in Jerusalem
A young woman applies red lipstick in front of a mirror, her eyes fixed on her reflection.
Tomatoes, onions and peppers sizzle in a wok
A picture frame falls from a shelf and shatters on a tiled floor
A girl plays a video game on a large television
A young man in a suit looks directly at the camera and adjusts his tie.
An X-ray technician analyzes a scan on a monitor in a dark room.
A worker in a hard hat reads a blueprint beside a half-built wall.
A nurse helps an elderly man who cannot walk into a wheelchair.
An empty street at dawn, with no people in sight.
A cyclist stops at gate 4 of the stadium; the barrier lifts.
A plate of salmon, potatoes and dill sits on a wooden table, steam rising.
Three frames hang on a white wall above a grey sofa.
Two women laugh while looking at photos on a phone.
A television in a bar shows a football match.
Photographers crowd around an actress in a silver dress and take pictures.
A video screen behind the stage glows blue while the singer bows.
A man cannot open a jar and hands it to his wife.
A sign reads “No parking” beside a row of parked cars.
A girl in a T-shirt that says "I can do it" lifts a small dumbbell.
Great white sharks circle a cage underwater
First light touches the peaks of the Dolomites.
Well-dressed guests walk down a red carpet.
Now empty, the carriage rolls past a platform.
The camera tilts up from a cobbled street to a gothic cathedral under a cloudy sky.
The frame of a bicycle leans against a brick wall.
A crowd of many, many people fills the square.
From the top of a hill, a shepherd looks down on a flock of sheep.
A close-up of an eye that blinks slowly.
A fisherman's boat rocks on the waves; gulls circle overhead.
A 3D-printed figure turns on a glass plate.
Temperatures of 40°C shimmer over a desert road as a truck passes.
A jersey with the number 10 hangs in a locker.
An assistant hands a scalpel to the surgeon.
A teacher writes an equation on a chalkboard while students take notes.
Dark clouds gather over a wheat field, and the first drops of rain fall.
A hummingbird hovers in front of a red feeder, its wings a blur.
Blurry city lights shimmer behind a glass of whiskey on a bar.
A person in a hoodie types on a keyboard; lines of code scroll across two monitors.
A man in a grey hoodie walks his dog past a row of shuttered shops.
Rain drips from the edge of a corrugated iron roof into a barrel.
A close-up shows a needle passing through denim.
A barber trims a customer's beard with electric clippers.
The sun sets behind wind turbines, casting long shadows over a field.
Two children on a seesaw go up and down.
A white cat sits on a windowsill and flicks its tail.
A news anchor speaks to the camera with a city skyline behind her.
A boy kicks a ball against a garage door again and again.
An orange lifeboat is lowered from the side of a ship.
Marathon runners stream across a bridge, seen from above.
A woman practices yoga on a beach, moving from downward dog to warrior pose.
A man explains something with his hands while sitting in front of a bookcase.
A mechanic lies beneath a car, only his boots visible.
A girl blows out the candles on her cake as family members clap.
Macro shot of frost forming on a leaf
A black-and-white shot of a busy market in the 1950s
A red double-decker bus passes Big Ben.
A chameleon's tongue shoots out to catch a cricket.
Paint drips from a brush onto a canvas on the floor.
A person's hand turns the pages of an old photo album.
A politician shakes hands with supporters outside a town hall.
Low-angle view of skyscrapers against a blue sky with drifting clouds
A cartoon fox with a green scarf jumps over a log.
A ball rolls down a ramp and knocks over a row of dominoes.
The image of the moon ripples on a pond.
A time-lapse of a flower opening, its petals unfurling one by one.
A magician shuffles cards and fans them out on green felt.
A tram with the word "Zoo" on its sign turns a corner in Zürich.
An Indonesian dancer in a gold headdress moves her fingers to gamelan music.
A jeepney covered in bright paintings drives through Manila.
Kids in Kraków feed pigeons in the Rynek Główny.
A sauna by a lake in Finland with smoke coming from its chimney
A man stirs a pot of goulash over a fire in Budapest.
A line of penguins waddles over the ice, one slips and falls.
A screenwriter crosses out words on a script.
Smoke rises from incense sticks before a Buddha statue
A woman photographs her food with a phone before she eats.
A man carries a ladder too long to fit through the door.
A climber reaches for a hold but can't quite get there and falls onto the mat.
It is too dark to read the sign beside the road.
A gamer plays a racing video game with a steering wheel.
People view paintings in a gallery.
A doctor describes a procedure to a patient, pointing at a model of a knee.
A student asks a question and the teacher answers.
A policeman directs traffic at an intersection without lights.
A couple carves their names into a tree.
No cars pass on a dirt road through dry hills.
A hand wipes steam off a mirror to reveal a tired face.
Clear plastic bottles move along a conveyor belt, each filled in turn.
A chess player fails to see the threat and loses his queen.
Sparks fly as a grinder cuts through steel.
An old man sits alone on a bench, looking down at his hands.
A dog cannot reach the ball under the sofa.
A train conductor checks tickets.
Wait staff carry trays of champagne.
Right-handed pitcher throws a fastball.
A hiker stops, takes out a map and looks around, unsure of the way.
A man in a blue shirt talks and gestures; subtitles are shown at the bottom.
A woman knocks on a door but gets no answer.
A man does not answer the ringing phone on his desk.
The material is woven on a wooden loom.
The media gather outside a courthouse.
A bird flies across the frame from left to right.
A 24" television stands on a dresser.
A wheel turns round and round and round.
A man and his twin sit side by side by side with a mirror.
Locked out, a driver cannot access his car and calls for help.
A runner does not complete the race and sits down on the track.
A photo appears on the screen of a phone.
A state‑of‑the‑art kitchen gleams under white light.
A surgeon can't quite see the monitor and leans forward.
A robot fails to open the door and backs away.
An elderly man struggles to read a menu; the print is too small for him.
Dark figures, too far away to be counted, march over a ridge.
A girl looks at her own image in a pond.
A projector casts a video onto the side of a barn.
A camera on a tripod records a couple as they dance.
A woman scrolls through pictures of her cat.
A hand points at a map, then at a photo of a lighthouse.
The subject of a portrait, a boy in a cap, sits still while a painter works.
The scene outside the window slides by as a train picks up speed.
The image of a saint is carried through the streets.
The camera follows a skier down a steep slope.
The sequence of lights on a runway blinks in the dusk.
A clip holds papers together on a windy desk.
A frame of honeycomb is lifted from a hive, bees crawling over it.
A newsreel camera clicks as dancers line up in two rows.
A child shows her drawing, then hides her face.
Sure-footed goats climb a cliff.
No wind moves the flags on the castle.
There is snow on the roofs, and smoke rises from two chimneys.
It is raining on a tin roof.
This old tractor pulls a plough through wet soil.
People queue for visas; a clerk stamps passports.
A waiter sets down two plates, one of pasta and one of fish.
A protester holds a sign that says "You are the change" in a crowd.
A dog's-eye view of a park, grass rushing past.
A woman turns a lamp on
An overloaded truck climbs a muddy hill
A fashion model walks down a runway
A player argues with the referee who is against the wall
The assistant hands the surgeon a scalpel.
A boat drifts outside the harbor at sunset
A photographer opens a box of old pictures
""".strip().splitlines()

BAD: dict[str, list[str]] = {
    "other languages": """
Mies taittelee paperia puisella pöydällä huoneessa
orang itu melipat kertas di atas meja kayu
Muz skrada papir na stole v pokoji velmi pomalu
Ein Hund läuft über den Strand und die Wellen sind hoch
Un perro corre por la playa con las olas
En man viker papper vid ett bord
Un homme plie du papier sur une table en bois
Pies biegnie po plaży w stronę morza
Egy férfi papírt hajtogat az asztalon
Bir adam masada kağıt katlıyor
Người đàn ông gấp giấy trên bàn gỗ
Un om îndoaie hârtie pe o masă de lemn
O homem dobra papel sobre uma mesa de madeira
Een man vouwt papier op een houten tafel
Mtu anakunja karatasi juu ya meza
Vyras lanksto popierių ant medinio stalo
Isang lalaki ang nagtitiklop ng papel sa mesa
homo chartam in mensa lignea plicat
Muskarac savija papir na drvenom stolu
En mand folder papir ved et bord
mees voldib laual paberit
Mabel corre pola praia
gizon batek papera tolesten du mahaian
Vienas suo begioja paplūdimiu
lelaki itu berjalan perlahan ke arah pantai
seorang wanita memasak nasi di dapur
nainen kävelee puistossa
kobieta idzie przez park
zena kraci parkem a fouka vitr
Hund rennt Strand entlang
perro corriendo playa
Koira juoksee rannalla
anjing berlari di pantai
pes bezi po plazi
kissa istuu ikkunalla ja katsoo ulos
kucing duduk di jendela
kocka sedi na okne a diva se ven
le chat est assis sur la fenêtre
die Katze sitzt am Fenster
gato sentado en la ventana
o pisica sta la fereastra
mačka sedi na prozoru
katten sitter i fönstret
kot siedzi na oknie
macska ül az ablakban
kedi pencerede oturuyor
con meo ngoi ben cua so
isang pusa na nakaupo sa bintana
paka ameketi dirishani
a man folds Papier auf dem Tisch im Zimmer
""".strip().splitlines(),
    "foreign letters": [
        "a man repeats the \u8fc7\u7a0b of folding paper on a table",
        "a wom\u0430n folds \u0430 paper crane on the t\u0430ble",
        "a woman folds a paper crane on the \u30c6\u30fc\u30d6\u30eb",
        "a man walks along the \u0643\u0648\u0631\u0646\u064a\u0634 at night",
        "a m\u03b1n f\u03bflds paper on a table",
        "\uff41 man folds paper on a table",
        "a \U0001d426\U0001d41a\U0001d427 folds paper on a table",
        "a man folds paper \U0001f600 on a table",
        "a man folds paper on a table\u3002",
        "a man f\u0251lds p\u0251per on a table",
        "a man on a street in \u0434\u043e\u0436\u0434\u044c and wind",
        "a m\u0336a\u0336n\u0336 folds paper on a table",
    ],
    "unseen letters": [
        "a man\u200b folds paper on a table",
        "a man folds \u202epaper on a table",
        "a man folds paper on a table\ufeff",
        "a man fol\u00adds paper on a table",
        "a man folds paper on a table\x00",
        "a man folds paper on a table \ufffd",
        "a man folds\u2060 paper on a table",
        "a man folds\ufe0f paper on a table",
    ],
    "wrapping": [
        "Describe the clip in one sentence.",
        "Judging by the images, a man folds paper on a table.",
        "The assistant describes a man folding paper.",
        "%s is shown on %s",
        "Subscribe to our channel for more videos!",
        "Click here to see more pictures like this one.",
        "The scene shows a man folding paper on a table.",
        "A man folds paper on a table, and the",
        "<think>The frames show a man with paper.</think> A man folds paper on a table.",
        "A man folds paper on a table.</think>",
        "[THINK] a man [/THINK] A man folds paper on a table.",
        '{"caption": "A man folds paper on a table."}',
        '"caption": "A man folds paper on a table."',
        "```json A man folds paper on a table. ```",
        "**A man folds paper on a table.**",
        "# A man folds paper on a table",
        "__A man__ folds paper on a table",
        "- A man folds paper on a table",
        "1. A man folds paper. 2. He holds it up.",
        "1) A man folds paper on a table",
        "\u2022 A man folds paper on a table",
        "A man folds paper on a table.<|im_end|>",
        "A man folds paper on a table.</s>",
        "A man folds paper on a table. [/INST]",
        "A man folds paper on a table.<\uff5cend\u2581of\u2581sentence\uff5c>",
        "A man folds paper on a table. ### Human",
        "A man folds paper on a table. assistant",
        "A man folds paper on a table. user Describe the next one",
        "A man folds paper on a table\\n",
        "A man folds paper on a table EOS",
        "A man folds paper &amp; cards on a table",
        "Sure! Here is the caption: A man folds paper on a table",
        "Certainly! A man folds paper on a table.",
        "Of course, a man folds paper on a table.",
        "Okay, a man folds paper on a table.",
        "Here's a caption: a man folds paper on a table",
        "Here is a short sentence, a man folds paper on a table",
        "Final answer: A man folds paper on a table",
        "Answer - A man folds paper on a table",
        "The caption for these frames: A man folds paper on a table",
        "Subject: a man. Action: folds paper on a table.",
        "Frame 1: A man folds paper. Frame 2: He holds it up.",
        "Frames 1-4: a man folds paper on a table",
        "0:00 A man folds paper on a table",
        "Based on the frames, a man folds paper on a table",
        "I can see a man who folds paper on a table.",
        "As you can see, a man folds paper on a table.",
        "A man folds paper on a table. Let me know if you need more.",
        "A man folds paper on a table. Hope this helps!",
        "A man folds paper on a table (8 words)",
        "A man folds paper on a table. Would you like another?",
        "We need to describe a man who folds paper on a table",
        "The user wants a sentence on a man who folds paper",
        "Let's look at it: a man folds paper on a table",
        "User: A man folds paper on a table",
        "\\boxed{A man folds paper on a table}",
        "See https://example.com for a man who folds paper",
        "A man folds paper on a table | paper | table | hands",
        "Thought: the man is folding paper. A man folds paper.",
        "Thinking Process: look at the frames. A man folds paper on a table.",
        "<|channel|>final<|message|>A man folds paper on a table.",
        "<answer>A man folds paper on a table</answer>",
        "Response: A man folds paper on a table.",
        "Great question! A man folds paper on a table.",
        "I'd describe this as a man folding paper on a table.",
        "My caption is a man folding paper on a table.",
        "It appears to be a clip of a man folding paper.",
        "In these images, a man folds paper.",
        "From what I can tell, a man folds paper on a table.",
        "A man folds paper on a table. (Note: the face is hidden.)",
        "A man folds paper on a table. Is that what you wanted?",
        "Video caption: a man folds paper",
        "Title: Paper folding at home",
        "'A man folds paper on a table.' is the caption",
        "{'caption': 'a man folds paper'}",
        "caption = a man folds paper",
        "* a man folds paper",
        "> a man folds paper",
        "A man folds paper on a table. ~~~",
    ],
    "refusal": [
        "This request falls outside my capabilities.",
        "The pictures did not load correctly on my end.",
        "As a large model trained by a company, describing people is not done here.",
        "Identifying people in pictures is against policy.",
        "ERROR 500: upstream timed out",
        "model is overloaded, try again later",
        "The image is too blurry to describe in any detail.",
        "Unable to generate a caption for this content.",
        "It is not possible to tell what the frames show.",
        "I'm sorry, but I can't help with that.",
        "I cannot see any frames in this message.",
        "There is not enough information to describe what happens.",
        "There isn't enough visual detail to say what the person does.",
        "No discernible subject is present.",
        "No description is available for this one.",
        "Description not available at this time",
        "Content unavailable due to policy",
        "The frames are completely black.",
        "The footage is too dark for a meaningful description.",
        "It is difficult to determine what is going on here.",
        "It's unclear what the scene contains; no details are visible.",
        "My guidelines do not allow me to talk about this person.",
        "This request violates the content policy.",
        "I must decline to speak about real people.",
        "Unfortunately nothing can be seen.",
        "Nothing recognizable appears; nothing can be described.",
        "As a language model, it is beyond my reach.",
        "An error occurred while processing the request.",
        "Please upload a clearer picture of the scene.",
        "More context is needed here.",
        "The visual content could not be interpreted.",
        "Sorry, no can do with this one.",
        "The subject cannot be identified from what is given.",
        "One can't make out anything in the picture.",
        "Failed to produce an answer for the input.",
        "The video cannot be played.",
        "I'm not able to help with identifying people.",
        "Can't see it well enough to answer.",
        "There's nothing here to describe.",
        "The content seems to be restricted.",
        "I don't have the ability to view videos.",
        "This image doesn't contain anything recognizable.",
        "It would be inappropriate to describe this person.",
        "The person's identity is not something I can share.",
        "Sorry, the media failed to load.",
        "No visible content.",
        "Not applicable to this footage.",
        "The picture shows nothing clear enough to be put into words.",
        "Without more context, one can only guess at the meaning.",
        "I prefer not to describe this.",
        "It remains unclear to the viewer what is happening.",
        "We are unable to process this.",
        "Hard to say what this is.",
        "The assistant is unable to answer.",
    ],
    "doubled words": [
        "a yellow star background background",
        "the the man folds a sheet of paper",
        "a woman is is walking in a park",
        "a woman walks in the park in the park",
        "A man folds paper on a table. A man folds paper on a table.",
        "a dog, a dog runs over the grass",
        "a boat on the water, water and sky",
        "a red circle circle moving left",
        "a cat sits sits on the window",
        "the cat sits on on the window",
        "a cat and a cat and a cat",
        "A cat, cat sits by the window.",
        "the cat the cat sits",
        "A man A man folds paper",
        "A man walks. A man walks.",
    ],
}
